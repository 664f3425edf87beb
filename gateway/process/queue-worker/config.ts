import { type Env, readEnv } from "../../../kit/env.ts";
import { type AsyncConfig, readAsyncConfig } from "../async-config.ts";
import { readWorkerProcessConfig, type WorkerProcessConfig } from "../worker-process-config.ts";

export interface QueueWorkerConfig extends WorkerProcessConfig {
  readonly async: AsyncConfig;
}

/** @throws {ConfigError} naming every bad variable, so that all can be fixed in one restart. */
export function loadQueueWorkerConfig(env: Env): QueueWorkerConfig {
  return readEnv(env, (read) => {
    const common = readWorkerProcessConfig(read, { metricsPort: 8083, service: "faaslane-queue-worker" });
    return { ...common, async: readAsyncConfig(read, common.secretMountPath) };
  });
}

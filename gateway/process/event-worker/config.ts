import { type Env, readEnv } from "../../../kit/env.ts";
import { parseText } from "../../../kit/parse.ts";
import { type AsyncConfig, readNats, readTargets } from "../async-config.ts";
import { type JetStreamEventsConfig, readEventsConfig } from "../events-config.ts";
import { readWorkerProcessConfig, type WorkerProcessConfig } from "../worker-process-config.ts";

export interface EventWorkerConfig extends WorkerProcessConfig {
  readonly events: JetStreamEventsConfig;
  /** Where events may go outside. */
  readonly callbackTargets: AsyncConfig["callbackTargets"];
  /** Folder of functions' secrets, `<namespace>/<name>`, which sources and sinks name. */
  readonly functionSecretsPath: string;
}

/** @throws {ConfigError} naming every bad variable, so that all can be fixed in one restart. */
export function loadEventWorkerConfig(env: Env): EventWorkerConfig {
  return readEnv(env, (read) => {
    const common = readWorkerProcessConfig(read, { metricsPort: 8085, service: "faaslane-event-worker" });
    // There is no other kind for a process of its own.
    const queue = { queue: { kind: "jetstream" as const }, nats: readNats(read) };
    return {
      ...common,
      events: readEventsConfig(read, queue) as JetStreamEventsConfig,
      callbackTargets: readTargets(read),
      functionSecretsPath: read.optional("function_secrets_path", parseText) ?? "/run/function-secrets",
    };
  });
}

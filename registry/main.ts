import { dirname } from "node:path";
import { CredentialFiles } from "../kit/credential-files.ts";
import { lockFolder } from "../kit/folder-lock.ts";
import { createLogger } from "../kit/log.ts";
import { runProcess } from "../kit/process.ts";
import { preferSmallHeap } from "../kit/small-heap.ts";
import { loadRegistryConfig } from "./config.ts";
import { openRegistry } from "./serve.ts";

preferSmallHeap();
await runProcess(async () => {
  const config = loadRegistryConfig(process.env);
  const log = createLogger(config.logLevel);
  const { basicAuth, secretMountPath, passwordOverlapMs: overlapMs, drainTimeoutMs } = config;
  const credentials = basicAuth ? await CredentialFiles.open(secretMountPath, { overlapMs, log }) : undefined;
  const unlock = lockFolder(dirname(config.folder));
  try {
    const registry = await openRegistry(config, credentials, log);
    return {
      drainTimeoutMs,
      close: async () => {
        await registry.close(drainTimeoutMs);
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
});

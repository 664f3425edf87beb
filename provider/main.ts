import { CredentialFiles } from "../kit/credential-files.ts";
import { lockFolder } from "../kit/folder-lock.ts";
import { createLogger } from "../kit/log.ts";
import { runProcess } from "../kit/process.ts";
import { preferSmallHeap } from "../kit/small-heap.ts";
import { loadProviderConfig } from "./config.ts";
import { openProvider } from "./serve.ts";

preferSmallHeap();
await runProcess(async () => {
  const config = loadProviderConfig(process.env);
  const log = createLogger(config.logLevel);
  const { basicAuth, secretMountPath, passwordOverlapMs: overlapMs } = config;
  const credentials = basicAuth ? await CredentialFiles.open(secretMountPath, { overlapMs, log }) : undefined;
  const unlock = lockFolder(config.dataDir);
  try {
    const provider = await openProvider(config, credentials, log);
    return {
      drainTimeoutMs: config.drainTimeoutMs,
      close: async () => {
        await provider.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
});

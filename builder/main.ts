import { fileURLToPath } from "node:url";
import { readCredentials } from "../kit/basic-auth.ts";
import { lockFolder } from "../kit/folder-lock.ts";
import { createLogger } from "../kit/log.ts";
import { runProcess } from "../kit/process.ts";
import { preferSmallHeap } from "../kit/small-heap.ts";
import { loadBuilderConfig } from "./config.ts";
import { openBuilderServer } from "./serve.ts";

const WATCHDOG = fileURLToPath(new URL("../dist/watchdog.mjs", import.meta.url));

preferSmallHeap();
await runProcess(async () => {
  const config = loadBuilderConfig(process.env);
  const log = createLogger(config.logLevel);
  const { drainTimeoutMs, images, secretMountPath } = config;
  const credentials = images.platformLogin ? await readCredentials(secretMountPath) : undefined;
  const unlock = lockFolder(config.dataDir);
  const builder = await openBuilderServer(config, credentials, WATCHDOG, log);
  return {
    drainTimeoutMs,
    close: async () => {
      await builder.close(drainTimeoutMs);
      unlock();
    },
  };
});

import { CredentialFiles } from "../../../kit/credential-files.ts";
import { createLogger } from "../../../kit/log.ts";
import { runProcess } from "../../../kit/process.ts";
import { loadQueueWorkerConfig } from "./config.ts";
import { openQueueWorker } from "./serve.ts";

await runProcess(async () => {
  const config = loadQueueWorkerConfig(process.env);
  const log = createLogger(config.logLevel);
  const credentials = config.basicAuth
    ? await CredentialFiles.open(config.async.secretMountPath, { overlapMs: 0, log })
    : undefined;
  const { close } = await openQueueWorker(config, credentials, log);
  return { drainTimeoutMs: config.drainTimeoutMs, close };
});

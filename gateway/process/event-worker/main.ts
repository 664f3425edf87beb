import { CredentialFiles } from "../../../kit/credential-files.ts";
import { createLogger } from "../../../kit/log.ts";
import { runProcess } from "../../../kit/process.ts";
import { loadEventWorkerConfig } from "./config.ts";
import { openEventWorker } from "./serve.ts";

await runProcess(async () => {
  const config = loadEventWorkerConfig(process.env);
  const log = createLogger(config.logLevel);
  const credentials = config.basicAuth
    ? await CredentialFiles.open(config.secretMountPath, { overlapMs: 0, log })
    : undefined;
  const { close } = await openEventWorker(config, credentials, log);
  return { drainTimeoutMs: config.drainTimeoutMs, close };
});

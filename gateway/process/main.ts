import { readCredentials } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { runProcess } from "../../kit/process.ts";
import { loadGatewayConfig } from "./config.ts";
import { openGateway } from "./serve.ts";

await runProcess(async () => {
  const config = loadGatewayConfig(process.env);
  const log = createLogger(config.logLevel);
  const credentials = config.basicAuth ? await readCredentials(config.secretMountPath) : undefined;
  const { close } = await openGateway(config, credentials, log);
  return { drainTimeoutMs: config.drainTimeoutMs, close };
});

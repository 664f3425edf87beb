import { socketPathOf } from "../../kit/bind-address.ts";
import { collectYoungAlone } from "../../kit/collect-alone.ts";
import { CredentialFiles } from "../../kit/credential-files.ts";
import { createLogger } from "../../kit/log.ts";
import { LogOutput, STDOUT } from "../../kit/log-output.ts";
import { runProcess } from "../../kit/process.ts";
import { loadGatewayConfig } from "./config.ts";
import { openGateway } from "./serve.ts";
import { defaultWorkers, thisMachine } from "./workers-config.ts";

collectYoungAlone();
await runProcess(async () => {
  const given = loadGatewayConfig(process.env);
  const config = { ...given, workers: given.workers ?? defaultWorkers(thisMachine(), given.bindAddress) };
  const output = new LogOutput(STDOUT);
  const log = createLogger(config.logLevel, output);
  if (given.workers === undefined && socketPathOf(given.bindAddress) !== undefined) {
    log.info("a Unix socket is one worker's: calls are taken by one thread");
  }
  const { basicAuth, secretMountPath, passwordOverlapMs: overlapMs } = config;
  const credentials = basicAuth ? await CredentialFiles.open(secretMountPath, { overlapMs, log }) : undefined;
  const { close } = await openGateway(config, credentials, log, output);
  return { drainTimeoutMs: config.drainDelayMs + config.drainTimeoutMs, close };
});

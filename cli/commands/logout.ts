import { Command } from "commander";
import { forgetAuth } from "../credentials.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { resolveGatewayUrl } from "../stack/gateway-url.ts";

/** `faaslane logout` */
export function logoutCommand(io: Io): Command {
  const command = new Command("logout").option("-g, --gateway <url>", "gateway URL");
  return command.action(async () => {
    const { gateway: flag } = command.opts<{ gateway?: string }>();
    const gateway = resolveGatewayUrl({ flag, env: io.env.OPENFAAS_URL }, true);
    if (!(await forgetAuth(gateway, io))) throw new CliError(`there are no credentials for ${gateway}`);
    io.stdout.write(`credentials removed for ${gateway}\n`);
  });
}

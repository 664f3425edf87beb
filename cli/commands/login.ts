import { Command } from "commander";
import { basicToken, saveAuth } from "../credentials.ts";
import { parseDurationFlag } from "../duration.ts";
import { CliError } from "../errors.ts";
import { type Io, readAll } from "../io.ts";
import { resolveGatewayUrl } from "../stack/gateway-url.ts";
import { clientOptions, warnOfPlainHttp } from "./connect.ts";

interface Flags {
  readonly username: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
  readonly gateway?: string;
  readonly tlsNoVerify?: boolean;
  readonly timeout: string;
}

const PASSWORD_LIMIT_BYTES = 64 * 1024;

/** `faaslane login`: asks the gateway whether the credentials are right, and keeps them if so. */
export function loginCommand(io: Io): Command {
  const command = new Command("login")
    .option("-u, --username <name>", "user", "admin")
    .option("-p, --password <password>", "password; others may see it in the list of processes")
    .option("-s, --password-stdin", "read the password from standard input")
    .option("-g, --gateway <url>", "gateway URL")
    .option("--tls-no-verify", "accept any TLS certificate")
    .option("--timeout <duration>", "for the question", "5s");
  return command.action(async () => {
    const flags = command.opts<Flags>();
    const timeoutMs = parseDurationFlag("--timeout", flags.timeout);
    const password = await passwordOf(io, flags);
    const gateway = resolveGatewayUrl({ flag: flags.gateway, env: io.env.OPENFAAS_URL }, true);
    warnOfPlainHttp(io, gateway);

    const { GatewayClient } = await import("../client/gateway-client.ts");
    const token = basicToken(flags.username, password);
    const common = clientOptions(io, flags.tlsNoVerify ? { tlsNoVerify: true } : {});
    const client = new GatewayClient({ url: gateway, authorization: `Basic ${token}`, timeoutMs, ...common });
    io.stdout.write("Calling the gateway to validate the credentials...\n");
    try {
      await client.listFunctions();
    } catch (error) {
      if ((error as { kind?: string }).kind !== "unauthorized") throw error;
      throw new CliError("unable to login, either username or password is incorrect", { cause: error });
    }
    await saveAuth({ gateway, auth: "basic", token }, io);
    io.stdout.write(`credentials saved for ${flags.username} ${gateway}\n`);
  });
}

async function passwordOf(io: Io, { username, password, passwordStdin = false }: Flags): Promise<string> {
  if (username === "") throw new CliError("--username must not be empty");
  if (password !== undefined && passwordStdin) {
    throw new CliError("--password and --password-stdin cannot be used together");
  }
  if (password !== undefined) {
    io.stderr.write("Warning: --password shows it to others on this machine; --password-stdin does not\n");
  }
  const text = passwordStdin ? (await readAll(io.stdin, PASSWORD_LIMIT_BYTES)).toString("utf8") : (password ?? "");
  const trimmed = text.trim();
  if (trimmed === "") throw new CliError("must provide a non-empty password via --password or --password-stdin");
  return trimmed;
}

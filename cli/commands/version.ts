import { Command } from "commander";
import { describeError } from "../errors.ts";
import type { Io } from "../io.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, addStackOptions, type GatewayFlags, type StackFlags } from "./options.ts";
import { readStackFile } from "./selection.ts";

interface Flags extends GatewayFlags, StackFlags {
  readonly shortVersion?: boolean;
  readonly json?: boolean;
}

const TIMEOUT_MS = 5_000;

/** `faaslane version`: of this client, and of the gateway and its provider when they can be asked. */
export function versionCommand(io: Io): Command {
  const command = new Command("version")
    .option("--short-version", "only the version of this client")
    .option("--warn-update", "taken for compatibility; nothing is asked but the gateway")
    .option("-j, --json", "as JSON");
  addGatewayOptions(addStackOptions(command));
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    if (flags.shortVersion) {
      io.stdout.write(`${io.version}\n`);
      return;
    }
    const stack = await readStackFile(io, flags);
    const { client, url } = await connect(io, flags, { stackGateway: stack?.gateway, timeoutMs: TIMEOUT_MS });
    // The client's own version is worth knowing above all when the gateway cannot be reached.
    const info = await client.info().catch((error: unknown) => {
      io.stderr.write(`Warning: ${describeError(error)}\n`);
      return undefined;
    });
    if (flags.json)
      io.stdout.write(
        `${JSON.stringify({ cli: { version: io.version, commit: io.commit }, gateway: info ?? null }, null, 2)}\n`,
      );
    else io.stdout.write(format(io, url, info));
  });
}

function format({ version, commit }: Io, url: string, info: unknown): string {
  const cli = `CLI:\n commit:        ${commit}\n version:       ${version}\n`;
  if (info === undefined) return cli;
  const at = (...keys: readonly string[]) =>
    keys.reduce<unknown>((value, key) => (value as Readonly<Record<string, unknown>> | null)?.[key], info) ?? "";
  return `${cli}
Gateway
 uri:           ${url}
 version:       ${at("version", "release")}
 sha:           ${at("version", "sha")}

Provider
 name:          ${at("provider", "provider")}
 orchestration: ${at("provider", "orchestration")}
 version:       ${at("provider", "version", "release")}
 sha:           ${at("provider", "version", "sha")}
`;
}

import { Command } from "commander";
import { formatBytes } from "../../contract/bytes.ts";
import { FaasError } from "../../contract/errors.ts";
import type { PruneReport, PruneRequest } from "../../contract/prune.ts";
import { askYesNo, canAsk } from "../ask.ts";
import type { GatewayClient } from "../client/gateway-client.ts";
import { CliError, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { printableLine } from "../printable.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, type GatewayFlags } from "./options.ts";

interface Flags extends GatewayFlags {
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

const WARNING =
  "This removes every image that no function uses, also those that were built and not deployed yet. Go on?";

/** `faaslane prune` */
export function pruneCommand(io: Io): Command {
  const command = new Command("prune")
    .option("-a, --all", "all images that no function uses, not only those that have lost their name or are old")
    .option("--dry-run", "show what would go, and remove nothing")
    .option("--force", "do not ask")
    .option("-j, --json", "as JSON");
  addGatewayOptions(command);
  return command.action(async () => {
    const { all = false, dryRun = false, force = false, ...flags } = command.optsWithGlobals<Flags>();
    const { client } = await connect(io, flags);
    const mayAsk = all && !dryRun && !force && canAsk(io);
    if (mayAsk && !(await askYesNo(io, WARNING))) throw new CliError("nothing was removed");
    const report = await prune(client, { all, dryRun });
    io.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : format(report, dryRun));
    for (const problem of report.problems) io.stderr.write(`Error: ${printableLine(problem)}\n`);
    if (report.problems.length > 0) throw new SilentFailure();
  });
}

async function prune(client: Pick<GatewayClient, "prune">, request: PruneRequest): Promise<PruneReport> {
  try {
    return await client.prune(request);
  } catch (error) {
    if (!(error instanceof FaasError) || !["notFound", "notAllowed"].includes(error.kind)) throw error;
    throw new CliError("this gateway's provider keeps no images", { cause: error });
  }
}

const inBytes = (bytes: number) => `${formatBytes(bytes)}B`;
const counted = (count: number) => (count === 1 ? "1 image" : `${count} images`);

function format({ removed, bytes, pending, kept }: PruneReport, dryRun: boolean): string {
  const lines = removed.map(({ images, digest, bytes: size }) => {
    const names = images.length === 0 ? "<none>" : images.map(printableLine).join(", ");
    const short = printableLine(digest).slice(0, "sha256:".length + 12);
    return `${dryRun ? "Would remove" : "Removed"}: ${names} (${short}, ${inBytes(size)})`;
  });
  lines.push(dryRun ? `Would free: ${inBytes(bytes)}` : `Freed: ${inBytes(bytes)}`);
  if (pending > 0) lines.push(`The files of ${counted(pending)} are still being removed.`);
  if (kept.images > 0) {
    lines.push(`Kept for a while, although no function uses them: ${counted(kept.images)}, ${inBytes(kept.bytes)}`);
    lines.push("To remove them too: faaslane prune --all");
  }
  return `${lines.join("\n")}\n`;
}

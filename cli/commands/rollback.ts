import { Command } from "commander";
import type { Io } from "../io.ts";
import { formatRollback } from "../versions/format.ts";
import { addVersionOptions, connectVersions, printJson, type VersionFlags } from "./connect-versions.ts";
import { untilReady } from "./traffic.ts";

/** `faaslane rollback NAME` */
export function rollbackCommand(io: Io): Command {
  const command = new Command("rollback")
    .argument("<name>", "the function")
    .option("--to <version>", "a version or tag (default: the one that had all calls before)")
    .option("--detach", "deploys move no calls afterwards, until a version is promoted or the traffic is reset")
    .option("--reason <text>", "for the history")
    .option("--wait", "until a replica of it is ready");
  addVersionOptions(command);
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<VersionFlags & { readonly to?: string; readonly detach?: boolean }>();
    const { to, detach, reason } = flags;
    const { client, fn } = await connectVersions(io, name, flags);
    const answer = await client.rollback(fn, {
      ...(to && { to }),
      ...(detach && { detach }),
      ...(reason && { reason }),
    });
    if (flags.wait) await untilReady(client, fn, io.signal);
    if (flags.json) printJson(io, answer);
    else io.stdout.write(formatRollback(name, answer));
  });
}

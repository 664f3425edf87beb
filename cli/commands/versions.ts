import { Command } from "commander";
import { isVersion } from "../../contract/versions/version-name.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { formatDifferences, formatVersions } from "../versions/format.ts";
import { addVersionOptions, connectVersions, printJson, type VersionFlags } from "./connect-versions.ts";

/** `faaslane versions NAME` */
export function versionsCommand(io: Io): Command {
  const command = new Command("versions")
    .argument("<name>", "the function")
    .option("--diff <range>", "what is different between two versions, e.g. v2..v3");
  addVersionOptions(command);
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<VersionFlags & { readonly diff?: string }>();
    const { diff } = flags;
    if (diff !== undefined && !isRange(diff))
      throw new CliError(`--diff must be two versions such as v2..v3, not ${JSON.stringify(diff)}`);
    const { client, fn } = await connectVersions(io, name, flags);
    const listed = await client.versions(fn, diff);
    if (flags.json) printJson(io, diff === undefined ? listed : (listed.diff ?? []));
    else if (diff !== undefined) io.stdout.write(formatDifferences(listed.diff ?? [], diff));
    else io.stdout.write(formatVersions(listed, Date.now()));
  });
}

function isRange(text: string): boolean {
  const parts = text.split("..");
  return parts.length === 2 && parts.every(isVersion);
}

import { Command } from "commander";
import { builderAt } from "../build/build-functions.ts";
import { SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { JsonReport } from "../json-report.ts";
import {
  addBuildOptions,
  type BuildFlags,
  buildSettingsOf,
  buildWithProgress,
  JSON_OPTION,
  SHRINKWRAP_OPTION,
} from "./build-options.ts";
import { addCompatibleFlags, noteMeaningless } from "./compatible-flags.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, addStackOptions, type GatewayFlags, type StackFlags } from "./options.ts";
import { reportFailures } from "./report-failures.ts";
import { chooseFunctions, readStackFile } from "./selection.ts";
import { type FunctionFlags, functionFromFlags } from "./single-function.ts";

interface Flags extends BuildFlags, StackFlags, GatewayFlags, FunctionFlags {}

/** `faaslane build`: lays out the contexts and has the gateway's builder make images of them. */
export function buildCommand(io: Io): Command {
  const command = new Command("build")
    .option("--image <name>", "image of a function without a stack file")
    .option("--handler <folder>", "its handler")
    .option("--name <name>", "its name")
    .option("--lang <template>", "its template")
    .option("--tag <mode>", "latest, sha, branch, describe or digest")
    .option(...JSON_OPTION)
    .option(...SHRINKWRAP_OPTION);
  addGatewayOptions(addStackOptions(addBuildOptions(command)));
  addCompatibleFlags(command, ["build"]);
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    noteMeaningless(io, command);
    const byFlags = functionFromFlags(flags, ["image", "handler"]);
    const stack = byFlags ? undefined : await readStackFile(io, flags);
    const functions = byFlags ? [byFlags] : chooseFunctions(stack, flags, "--image, --handler, --name and --lang");
    // A handler named on the command line is meant, wherever it is.
    const settings = buildSettingsOf(io, flags, stack, byFlags?.handler);
    const { client } = await connect(io, flags, { stackGateway: stack?.gateway });
    const quiet = flags.quiet ?? false;
    const report = flags.json ? new JsonReport(io) : undefined;
    const outcomes = await buildWithProgress(io, functions, settings, { builder: builderAt(client), quiet, report });
    for (const outcome of outcomes) report?.add(report.ofBuild(outcome));
    if (report?.end() ?? reportFailures(io, outcomes)) throw new SilentFailure();
  });
}

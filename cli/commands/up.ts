import { Command } from "commander";
import { builderAt, deployableOf } from "../build/build-functions.ts";
import type { DeployOutcome } from "../deploy/deploy-functions.ts";
import { parseDurationFlag } from "../duration.ts";
import { CliError, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { type FunctionResult, JsonReport, resultOfDeploy, resultOfResource } from "../json-report.ts";
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
import {
  addDeployOptions,
  type DeployFlags,
  deployModeOf,
  deployPlanOf,
  deployResourcesWithReport,
  deployWithReport,
} from "./deploy-options.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { reportFailures } from "./report-failures.ts";
import { chooseAll, readStackFile } from "./selection.ts";
import { addFunctionOptions, type FunctionFlags, functionFromFlags } from "./single-function.ts";

interface Flags extends FunctionFlags, BuildFlags, DeployFlags, StackFlags, Omit<GatewayFlags, "namespace"> {
  readonly timeout: string;
  readonly namespace?: string;
  readonly skipDeploy?: boolean;
  readonly watch?: boolean;
}

/** `faaslane up`: builds, then deploys what could be built; with `--watch` again for each change of the sources. */
export function upCommand(io: Io): Command {
  const command = new Command("up")
    .option("--watch", "go on: build and deploy again what changes, until Ctrl-C")
    .option(...JSON_OPTION)
    .option("--skip-push", "taken for compatibility; the builder keeps images, or pushes them where it must")
    .option("--skip-deploy", "only build")
    .option(...SHRINKWRAP_OPTION)
    .option("--timeout <duration>", "for each request but builds", "60s");
  addDeployOptions(addBuildOptions(addFunctionOptions(command)));
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  addCompatibleFlags(command, ["build", "up", "deploy"]);
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    noteMeaningless(io, command);
    const byFlags = functionFromFlags(flags, ["image", "handler"]);
    checkWatch(flags, byFlags !== undefined);
    const onlyBuilds = flags.skipDeploy || flags.shrinkwrap;
    const mode = deployModeOf(flags);
    const plan = deployPlanOf(io, flags);
    const timeoutMs = parseDurationFlag("--timeout", flags.timeout);
    const read = async () => {
      if (byFlags) return { stack: undefined, functions: [byFlags], resources: [] };
      const stack = await readStackFile(io, flags);
      return { stack, ...chooseAll(stack, flags, "--image, --handler, --name and --lang") };
    };
    const { stack, functions, resources } = await read();
    const settings = buildSettingsOf(io, flags, stack, byFlags?.handler);
    const connection = await connect(io, flags, { stackGateway: stack?.gateway, timeoutMs });

    const quiet = flags.quiet ?? false;
    const report = flags.json ? new JsonReport(io) : undefined;
    const builder = builderAt(connection.client);
    const built = await buildWithProgress(io, functions, settings, { builder, quiet, report });
    const deployable = deployableOf(functions, built);
    const how = { plan, mode, quiet: report !== undefined };
    const deployed = onlyBuilds ? [] : await deployWithReport(io, deployable, connection, how);
    const quietly = { namespace: flags.namespace, quiet: report !== undefined };
    const declared = onlyBuilds ? [] : await deployResourcesWithReport(io, resources, connection, quietly);
    for (const outcome of built) report?.add(resultOfUp(report.ofBuild(outcome), deployed, connection.url));
    for (const outcome of declared) report?.add(resultOfResource(outcome));
    const failed = report?.end() ?? reportFailures(io, [...built, ...deployed, ...declared]);
    if (failed && !flags.watch) throw new SilentFailure();
    if (!flags.watch || !stack) return;
    const { watchStack } = await import("./up-watch.ts");
    const reload = async () => {
      const fresh = await read();
      return { ...fresh, stack: fresh.stack ?? stack };
    };
    await watchStack(io, { file: flags.yaml, stack, functions, resources, reload, settings, connection, plan });
  });
}

/** @throws {CliError} for what cannot go on with each change */
function checkWatch({ watch, skipDeploy, shrinkwrap, json }: Flags, isByFlags: boolean): void {
  if (!watch) return;
  if (isByFlags) throw new CliError("--watch needs a stack file, which `faaslane new` writes");
  const other = Object.entries({ shrinkwrap, "skip-deploy": skipDeploy, json }).find(([, isGiven]) => isGiven);
  if (other) throw new CliError(`--watch and --${other[0]} cannot be used together`);
}

/** One result of both steps; how the build went is beside how it ended. */
function resultOfUp(built: FunctionResult, deployed: readonly DeployOutcome[], url: string): FunctionResult {
  const outcome = deployed.find(({ name }) => name === built.name);
  if (outcome === undefined) return built;
  const { name: _, ...build } = built;
  return { ...resultOfDeploy(outcome, url), build };
}

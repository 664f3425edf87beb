import { Command } from "commander";
import { builderAt, deployableOf } from "../build/build-functions.ts";
import type { DeployOutcome } from "../deploy/deploy-functions.ts";
import { CliError, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { type FunctionResult, JsonReport, resultOfDeploy, resultOfResource } from "../json-report.ts";
import { addBuildOptions, type BuildFlags, buildSettingsOf, buildWithProgress, JSON_OPTION } from "./build-options.ts";
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

interface Flags extends BuildFlags, DeployFlags, StackFlags, Omit<GatewayFlags, "namespace"> {
  readonly tag?: string;
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
    .option("--skip-deploy", "only build");
  addNamespaceOption(addGatewayOptions(addStackOptions(addDeployOptions(addBuildOptions(command)))));
  addCompatibleFlags(command, ["build", "up", "deploy"]);
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    noteMeaningless(io, command);
    if (flags.watch && flags.skipDeploy) throw new CliError("--watch and --skip-deploy cannot be used together");
    if (flags.watch && flags.json) throw new CliError("--watch and --json cannot be used together");
    const mode = deployModeOf(flags);
    const plan = deployPlanOf(io, flags);
    const read = async () => {
      const stack = await readStackFile(io, flags);
      return { stack, ...chooseAll(stack, flags) };
    };
    const { stack, functions, resources } = await read();
    const settings = buildSettingsOf(io, flags, stack);
    const connection = await connect(io, flags, { stackGateway: stack?.gateway });

    const quiet = flags.quiet ?? false;
    const report = flags.json ? new JsonReport(io) : undefined;
    const builder = builderAt(connection.client);
    const built = await buildWithProgress(io, functions, settings, { builder, quiet, report });
    const deployable = deployableOf(functions, built);
    const how = { plan, mode, quiet: report !== undefined };
    const deployed = flags.skipDeploy ? [] : await deployWithReport(io, deployable, connection, how);
    const quietly = { namespace: flags.namespace, quiet: report !== undefined };
    const declared = flags.skipDeploy ? [] : await deployResourcesWithReport(io, resources, connection, quietly);
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

/** One result of both steps; how the build went is beside how it ended. */
function resultOfUp(built: FunctionResult, deployed: readonly DeployOutcome[], url: string): FunctionResult {
  const outcome = deployed.find(({ name }) => name === built.name);
  if (outcome === undefined) return built;
  const { name: _, ...build } = built;
  return { ...resultOfDeploy(outcome, url), build };
}

import { Command } from "commander";
import { SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { addBuildOptions, type BuildFlags, buildSettingsOf, buildWithProgress } from "./build-options.ts";
import { connect } from "./connect.ts";
import { addDeployOptions, type DeployFlags, deployModeOf, deployPlanOf, deployWithReport } from "./deploy-options.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { reportFailures } from "./report-failures.ts";
import { chooseFunctions, readStackFile } from "./selection.ts";

interface Flags extends BuildFlags, DeployFlags, StackFlags, Omit<GatewayFlags, "namespace"> {
  readonly tag?: string;
  readonly namespace?: string;
  readonly skipDeploy?: boolean;
}

/** `faaslane up`: builds, then deploys what could be built. */
export function upCommand(io: Io): Command {
  const command = new Command("up")
    .option("--skip-push", "taken for compatibility; the builder keeps the images, nothing is pushed")
    .option("--skip-deploy", "only build");
  addNamespaceOption(addGatewayOptions(addStackOptions(addDeployOptions(addBuildOptions(command)))));
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    const mode = deployModeOf(flags);
    const plan = deployPlanOf(io, flags);
    const stack = await readStackFile(io, flags);
    const functions = chooseFunctions(stack, flags);
    const settings = buildSettingsOf(io, flags, stack);
    const connection = await connect(io, flags, { stackGateway: stack?.gateway });

    const quiet = flags.quiet ?? false;
    const built = await buildWithProgress(io, functions, settings, { uploader: connection.client, quiet });
    const deployable = functions.filter((_, index) => built[index]?.kind !== "failed");
    const deployed = flags.skipDeploy ? [] : await deployWithReport(io, deployable, connection, { plan, mode });
    if (reportFailures(io, [...built, ...deployed])) throw new SilentFailure();
  });
}

import { Command } from "commander";
import { parseDurationFlag } from "../duration.ts";
import { SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { JsonReport, resultOfDeploy, resultOfResource } from "../json-report.ts";
import { JSON_OPTION } from "./build-options.ts";
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

interface Flags extends FunctionFlags, DeployFlags, StackFlags, Omit<GatewayFlags, "namespace"> {
  readonly timeout: string;
  readonly json?: boolean;
}

/** `faaslane deploy`: by a stack file, or one function by flags. */
export function deployCommand(io: Io): Command {
  const command = new Command("deploy")
    .option(...JSON_OPTION)
    .option("--allow-outside", "read environment files that are outside of the project")
    .option("--timeout <duration>", "for each request", "60s");
  addNamespaceOption(addGatewayOptions(addStackOptions(addDeployOptions(addFunctionOptions(command)))));
  addCompatibleFlags(command, ["deploy"]);
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    noteMeaningless(io, command);
    const mode = deployModeOf(flags);
    const plan = deployPlanOf(io, flags);
    const byFlags = functionFromFlags(flags, ["image"]);
    const stack = byFlags ? undefined : await readStackFile(io, flags);
    const { functions, resources } = byFlags
      ? { functions: [byFlags], resources: [] }
      : chooseAll(stack, flags, "--image and --name");
    const timeoutMs = parseDurationFlag("--timeout", flags.timeout);
    const connection = await connect(io, flags, { stackGateway: stack?.gateway, timeoutMs });
    const report = flags.json ? new JsonReport(io) : undefined;
    const quiet = report !== undefined;
    const outcomes = await deployWithReport(io, functions, connection, { plan, mode, quiet });
    for (const outcome of outcomes) report?.add(resultOfDeploy(outcome, connection.url));
    const { namespace } = flags;
    const declared = await deployResourcesWithReport(io, resources, connection, { namespace, quiet });
    for (const outcome of declared) report?.add(resultOfResource(outcome));
    if (report?.end() ?? reportFailures(io, [...outcomes, ...declared])) throw new SilentFailure();
  });
}

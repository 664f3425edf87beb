import { Command } from "commander";
import { configFile, findAuthorization } from "../credentials.ts";
import { planDeployment } from "../deploy/plan-deployments.ts";
import { CliError, describeError } from "../errors.ts";
import type { Io } from "../io.ts";
import { findStackFile } from "../load-stack.ts";
import { resolveGatewayUrl } from "../stack/gateway-url.ts";
import { addDeployOptions, type DeployFlags, deployPlanOf } from "./deploy-options.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { chooseFunctions, readStackFile } from "./selection.ts";

interface Flags extends DeployFlags, StackFlags, Omit<GatewayFlags, "namespace"> {
  readonly json?: boolean;
}

/** `faaslane config view`: what stack file, flags and environment come to, without asking the gateway. */
export function configCommand(io: Io): Command {
  const config = new Command("config");
  const view = new Command("view")
    .description("show the gateway, and what `deploy` would send to it")
    .option("--allow-outside", "read environment files that are outside of the project")
    .option("-j, --json", "as JSON");
  addNamespaceOption(addGatewayOptions(addStackOptions(addDeployOptions(view))));
  config.addCommand(view);
  view.action(async () => {
    const flags = view.optsWithGlobals<Flags>();
    const stack = await readStackFile(io, flags);
    const gateway = resolveGatewayUrl({ flag: flags.gateway, stack: stack?.gateway, env: io.env.OPENFAAS_URL });
    const authorization = await findAuthorization(gateway, flags.token, io);
    const plan = deployPlanOf(io, flags);
    const functions = [];
    for (const fn of stack && stack.functions.length > 0 ? chooseFunctions(stack, flags) : []) {
      const deployment = await planDeployment(fn, plan).catch((cause: unknown) => {
        throw new CliError(`${fn.name}: ${describeError(cause)}`, { cause });
      });
      functions.push(deployment);
    }
    const shown = {
      gateway,
      // Never what they are.
      credentials: authorization === undefined ? "none" : (authorization.split(" ")[0] ?? "").toLowerCase(),
      credentialsFile: configFile(io),
      ...(stack && { stackFile: flags.yaml || findStackFile(io.cwd) }),
      functions,
    };
    if (flags.json) io.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    else io.stdout.write((await import("../stack/print-yaml.ts")).printYaml(shown));
  });
  return config;
}

import { Command } from "commander";
import type { GatewayClient } from "../client/gateway-client.ts";
import { resourceTitle } from "../deploy/deploy-resources.ts";
import { planDeployment } from "../deploy/plan-deployments.ts";
import { compareFunction, type Difference, ENV_SIDES, parseEnvSide } from "../diff/compare.ts";
import { CliError, describeError, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { printableLine } from "../printable.ts";
import type { StackResource } from "../stack/types.ts";
import { connect } from "./connect.ts";
import { type DeployFlags, deployPlanOf } from "./deploy-options.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { chooseAll, readStackFile } from "./selection.ts";

interface Flags extends Omit<DeployFlags, "env">, StackFlags, Omit<GatewayFlags, "namespace"> {
  readonly env: string;
  readonly json?: boolean;
}

/** `faaslane diff`: what a deploy of the stack file would change; ends with 1 when that is something. */
export function diffCommand(io: Io): Command {
  const command = new Command("diff")
    .option("--tag <mode>", "latest, sha, branch, describe or digest")
    .option("--env <side>", `variables of which side count: ${ENV_SIDES.join(", ")}`, "all")
    .option("--no-read-template", "do not look at templates for fprocess")
    .option("--allow-outside", "read environment files that are outside of the project")
    .option("-j, --json", "as JSON");
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  return command.action(async () => {
    const { env, ...flags } = command.optsWithGlobals<Flags>();
    const side = parseEnvSide(env);
    const plan = deployPlanOf(io, flags);
    const stack = await readStackFile(io, flags);
    const { functions, resources } = chooseAll(stack, flags);
    const { client } = await connect(io, flags, { stackGateway: stack?.gateway });
    const found: { name: string; deployed: boolean; differences: Difference[] }[] = [];
    for (const fn of functions) {
      const local = await planDeployment(fn, plan).catch((cause: unknown) => {
        throw new CliError(`${fn.name}: ${describeError(cause)}`, { cause });
      });
      const remote = await client.getFunction(fn.name, local.namespace);
      const differences = remote ? compareFunction(local, remote, side) : [];
      found.push({ name: fn.name, deployed: remote !== undefined, differences });
    }
    found.push(...(await compareResources(resources, client, flags.namespace)));
    if (flags.json) io.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    else for (const { name, deployed, differences } of found) io.stdout.write(format(name, deployed, differences));
    if (found.some(({ deployed, differences }) => !deployed || differences.length > 0)) throw new SilentFailure();
  });
}

async function compareResources(
  resources: readonly StackResource[],
  client: GatewayClient,
  namespace: string | undefined,
): Promise<{ name: string; deployed: boolean; differences: Difference[] }[]> {
  if (resources.length === 0) return [];
  const [{ ResourcesClient }, { compareResource }] = await Promise.all([
    import("../client/resources-client.ts"),
    import("../diff/compare-resource.ts"),
  ]);
  const declared = new ResourcesClient(client);
  const found = [];
  for (const resource of resources) {
    const remote = await declared.find(resource.kind, resource.name, resource.namespace ?? namespace);
    const deployed = remote?.spec !== undefined;
    const differences = remote?.spec ? compareResource(resource, remote.spec) : [];
    found.push({ name: resourceTitle(resource), deployed, differences });
  }
  return found;
}

function format(name: string, deployed: boolean, differences: readonly Difference[]): string {
  if (!deployed)
    return `${name}: not deployed; faaslane deploy${name.includes("/") ? "" : ` --filter ${name}`} deploys it\n`;
  if (differences.length === 0) return `${name}: no difference\n`;
  const lines = differences.flatMap(({ field, local, remote }) => [
    ...(remote === undefined ? [] : [`  - ${field}: ${printableLine(remote)}\n`]),
    ...(local === undefined ? [] : [`  + ${field}: ${printableLine(local)}\n`]),
  ]);
  return `${name}: differs\n${lines.join("")}`;
}

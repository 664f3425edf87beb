import type { Command } from "commander";
import { templateDirsOf } from "../build/build-functions.ts";
import { findProjectRoot } from "../build/project-root.ts";
import { type DeployMode, type DeployOutcome, deployFunctions } from "../deploy/deploy-functions.ts";
import { deployResources, type ResourceOutcome } from "../deploy/deploy-resources.ts";
import { type DeployPlan, planDeployment } from "../deploy/plan-deployments.ts";
import { CliError, describeError } from "../errors.ts";
import type { Io } from "../io.ts";
import { parseRecord } from "../key-values.ts";
import { parseTagMode } from "../stack/image-tag.ts";
import type { StackFunction, StackResource } from "../stack/types.ts";
import { noteOfVersion } from "../versions/deployed-version.ts";
import type { Connection } from "./connect.ts";
import { collectValues } from "./options.ts";

export interface DeployFlags {
  readonly env?: readonly string[];
  readonly label?: readonly string[];
  readonly annotation?: readonly string[];
  readonly constraint?: readonly string[];
  readonly secret?: readonly string[];
  readonly readonly?: boolean;
  readonly replace?: boolean;
  readonly update?: boolean;
  readonly readTemplate?: boolean;
  readonly namespace?: string;
  readonly tag?: string;
  readonly allowOutside?: boolean;
}

export function addDeployOptions(command: Command): Command {
  return command
    .option("-e, --env <key=value>", "environment variable (repeatable)", collectValues)
    .option("-l, --label <key=value>", "label (repeatable)", collectValues)
    .option("--annotation <key=value>", "annotation (repeatable)", collectValues)
    .option("--constraint <text>", "where the function may run (repeatable)", collectValues)
    .option("--secret <name>", "secret the function may read (repeatable)", collectValues)
    .option("--readonly", "read-only root file system")
    .option("--replace", "remove the function before deploying it; needs --update=false")
    .option("--update", "update what is deployed already (default)")
    .option("--no-update", "fail for what is deployed already")
    .option("--read-template", "take fprocess from the template when the stack file has none (default)")
    .option("--no-read-template", "do not look at the template")
    .option("--tag <mode>", "latest, sha, branch, describe or digest");
}

/** @throws {CliError} when update and replace are both wanted */
export function deployModeOf({ update, replace = false }: DeployFlags): DeployMode {
  if (replace && update === true) throw new CliError("--update and --replace cannot be used together");
  if (replace) return "replace";
  return update === false ? "create" : "update";
}

/** @throws {CliError} for a flag that is not `key=value` */
export function deployPlanOf(io: Io, flags: DeployFlags): DeployPlan {
  return {
    baseDir: io.cwd,
    templateDirs: templateDirsOf(io.cwd, io.sourceRoot),
    ...(!flags.allowOutside && { projectRoot: findProjectRoot(io.cwd, io.home) }),
    readTemplate: flags.readTemplate ?? true,
    tag: parseTagMode(flags.tag ?? ""),
    environment: parseRecord("--env", flags.env),
    flags: {
      namespace: flags.namespace,
      labels: parseRecord("--label", flags.label),
      annotations: parseRecord("--annotation", flags.annotation),
      secrets: flags.secret ?? [],
      constraints: flags.constraint ?? [],
      readOnlyRootFilesystem: flags.readonly ?? false,
    },
  };
}

/** Deploys, telling each function's fate as it is known, unless `quiet`. */
export async function deployWithReport(
  io: Io,
  functions: readonly StackFunction[],
  { client, url }: Connection,
  { plan, mode, quiet = false }: { plan: DeployPlan; mode: DeployMode; quiet?: boolean },
): Promise<DeployOutcome[]> {
  const print = (line: string) => void (quiet || io.stdout.write(`${line}\n`));
  return await deployFunctions(
    functions,
    async (fn) => {
      print(`Deploying: ${fn.name}.`);
      return await planDeployment(fn, plan);
    },
    {
      target: client,
      mode,
      report: (outcome) => describeDeployed(outcome, url).forEach(print),
      noteOf: (deployment) => noteOfVersion(client, deployment),
    },
  );
}

/** Declares what the stack file has besides functions, telling each one's fate unless `quiet`. */
export async function deployResourcesWithReport(
  io: Io,
  resources: readonly StackResource[],
  { client }: Pick<Connection, "client">,
  { namespace, quiet = false }: { namespace: string | undefined; quiet?: boolean },
): Promise<ResourceOutcome[]> {
  if (resources.length === 0) return [];
  const { ResourcesClient } = await import("../client/resources-client.ts");
  return await deployResources(resources, new ResourcesClient(client), namespace, (outcome) => {
    if (quiet) return;
    if (outcome.kind === "failed") io.stdout.write(`Not declared: ${outcome.name}: ${describeError(outcome.error)}\n`);
    else io.stdout.write(`${outcome.isNew ? "Declared" : "Updated"}: ${outcome.name}\n`);
  });
}

function describeDeployed(outcome: DeployOutcome, url: string): string[] {
  if (outcome.kind === "failed") return [`Not deployed: ${describeError(outcome.error)}`, ""];
  const { status, statusText, warnings } = outcome.answer;
  const name = outcome.namespace ? `${outcome.name}.${outcome.namespace}` : outcome.name;
  return [
    "",
    `Deployed. ${status} ${statusText}.`,
    `URL: ${url}/function/${name}`,
    ...(outcome.note === undefined ? [] : [outcome.note]),
    ...warnings.map((warning) => `Warning: ${warning}`),
    "",
  ];
}

import { Command } from "commander";
import { DEFAULT_NAMESPACE } from "../../contract/paths.ts";
import { planDeployment } from "../deploy/plan-deployments.ts";
import { CliError, describeError } from "../errors.ts";
import { APIS, buildObject, parseApi } from "../generate/objects.ts";
import type { Io } from "../io.ts";
import type { StackFunction } from "../stack/types.ts";
import { type DeployFlags, deployPlanOf } from "./deploy-options.ts";
import { addStackOptions, collectValues, type StackFlags } from "./options.ts";
import { chooseFunctions, functionOfFlags, readStackFile } from "./selection.ts";

interface Flags extends StackFlags, DeployFlags {
  readonly api: string;
  readonly fromStore?: string;
  readonly name?: string;
  readonly arch: string;
  readonly url?: string;
}

/** `faaslane generate`: the stack file's functions as Kubernetes objects. */
export function generateCommand(io: Io): Command {
  const command = new Command("generate")
    .option("--api <version>", APIS.join(" or "), APIS[0])
    .option(
      "-n, --namespace <name>",
      `of the objects; "" leaves it out (default: the function's, ${DEFAULT_NAMESPACE})`,
    )
    .option("-l, --label <key=value>", "label (repeatable)", collectValues)
    .option("--annotation <key=value>", "annotation (repeatable)", collectValues)
    .option("--tag <mode>", "latest, sha, branch, describe or digest")
    .option("--no-read-template", "do not look at templates for fprocess")
    .option("--allow-outside", "read environment files that are outside of the project");
  command
    .option("--from-store <name>", "a function of the store instead of those of the stack file")
    .option("--name <name>", "another name for it")
    .option("--arch <name>", "platform of its image", "x86_64")
    .option("-u, --url <url>", "another store, a URL or a file");
  addStackOptions(command);
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    const api = parseApi(flags.api);
    const plan = deployPlanOf(io, flags);
    const functions = flags.fromStore
      ? [await functionOfStore(io, flags.fromStore, flags)]
      : chooseFunctions(await readStackFile(io, flags), flags);
    const { printYaml } = await import("../stack/print-yaml.ts");
    const documents: string[] = [];
    for (const fn of functions.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const deployment = await planDeployment(fn, plan).catch((cause: unknown) => {
        throw new CliError(`${fn.name}: ${describeError(cause)}`, { cause });
      });
      const namespace = flags.namespace ?? fn.namespace ?? DEFAULT_NAMESPACE;
      documents.push(`---\n${printYaml(buildObject(api, deployment, namespace))}`);
    }
    io.stdout.write(documents.join(""));
  });
}

/** @throws {CliError} when the store has no such function, or no image of it for that platform */
async function functionOfStore(io: Io, wanted: string, flags: Flags): Promise<StackFunction> {
  if (flags.tag === "digest") throw new CliError("--tag digest needs a handler, which functions of the store have not");
  const { findOffer, imageFor, platformOf, readFunctionStore } = await import("../store/function-store.ts");
  const { functionStoreUrl } = await import("../store/locations.ts");
  const offers = await readFunctionStore(functionStoreUrl(io.env, flags.url), { baseDir: io.cwd });
  const offer = findOffer(offers, wanted);
  const { environment = {}, labels = {}, annotations = {}, fprocess, readOnlyRootFilesystem = false } = offer;
  return functionOfFlags(flags.name || offer.name, {
    image: imageFor(offer, platformOf(flags.arch)),
    environment,
    labels,
    annotations,
    readOnlyRootFilesystem,
    ...(fprocess && { fprocess }),
  });
}

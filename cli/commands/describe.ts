import { Command } from "commander";
import { formatBytes } from "../../contract/bytes.ts";
import type { FunctionStatus } from "../../contract/functions.ts";
import { CliError, LIST_SHOWS } from "../errors.ts";
import type { Io } from "../io.ts";
import { printableLine } from "../printable.ts";
import { describeTarget, type ServingVersions, servingVersions } from "../versions/deployed-version.ts";
import { connect } from "./connect.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { readStackFile, selectedNamespace } from "./selection.ts";

interface Flags extends GatewayFlags, StackFlags {
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** `faaslane describe NAME` */
export function describeCommand(io: Io): Command {
  const command = new Command("describe")
    .argument("<name>", "the function")
    .option("-v, --verbose", "show empty fields too")
    .option("-j, --json", "as JSON");
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<Flags>();
    const stack = await readStackFile(io, flags);
    const namespace = selectedNamespace(name, flags.namespace, stack);
    const { client, url } = await connect(io, flags, { stackGateway: stack?.gateway });
    const status = await client.getFunction(name, namespace);
    if (!status) throw new CliError(`no such function: ${name}; ${LIST_SHOWS}`);
    // Only the list is sure to carry the count of calls.
    const listed = (await client.listFunctions(namespace)).find((fn) => fn.name === name);
    const known = { ...status, invocationCount: listed?.invocationCount ?? status.invocationCount ?? 0 };
    const serving = await servingVersions(client, { name, namespace });
    if (flags.json) io.stdout.write(`${JSON.stringify({ ...known, ...serving }, null, 2)}\n`);
    else io.stdout.write(format({ ...known, ...serving }, `${url}`, namespace, flags.verbose ?? false));
  });
}

function format(
  fn: FunctionStatus & Partial<ServingVersions>,
  url: string,
  namespace: string | undefined,
  verbose: boolean,
): string {
  const path = namespace ? `${fn.name}.${namespace}` : fn.name;
  const resources = (values: FunctionStatus["limits"]) => pairs({ CPU: values?.cpu, Memory: values?.memory });
  const fields: readonly (readonly [title: string, lines: readonly string[]])[] = [
    ["Name", [fn.name]],
    ["Status", [(fn.availableReplicas ?? 0) > 0 ? "Ready" : "Not Ready"]],
    ["Problem", fn.problem ? [fn.problem] : []],
    ["Replicas", [`${fn.replicas ?? 0}`]],
    ["Available Replicas", [`${fn.availableReplicas ?? 0}`]],
    ["Invocations", [`${fn.invocationCount ?? 0}`]],
    ["Version", fn.version === undefined ? [] : [fn.version]],
    ["Traffic", fn.traffic?.map(describeTarget) ?? []],
    ["Image", [fn.image]],
    ["Image Size", fn.imageBytes === undefined ? [] : [`${formatBytes(fn.imageBytes)}B`]],
    ["Function Process", [fn.envProcess || "<default>"]],
    ["Namespace", fn.namespace ? [fn.namespace] : []],
    ["URL", [`${url}/function/${path}`]],
    ["Async URL", [`${url}/async-function/${path}`]],
    ["Created At", fn.createdAt ? [fn.createdAt] : []],
    ["Labels", pairs(fn.labels)],
    ["Annotations", pairs(fn.annotations)],
    ["Constraints", fn.constraints ?? []],
    ["Environment", pairs(fn.envVars)],
    ["Secrets", fn.secrets ?? []],
    ["Requests", resources(fn.requests)],
    ["Limits", resources(fn.limits)],
    ["Read-only FS", fn.readOnlyRootFilesystem ? ["true"] : []],
    ["Sandbox", fn.sandbox ? [fn.sandbox] : []],
    ["Usage", usage(fn.usage)],
  ];
  return fields
    .filter(([, lines]) => verbose || lines.length > 0)
    .map(([title, lines]) => {
      const [first = "<none>", ...rest] = lines.map(printableLine);
      return [`${`${title}:`.padEnd(21)}${first}\n`, ...rest.map((line) => `${" ".repeat(21)}${line}\n`)].join("");
    })
    .join("");
}

function pairs(values: Readonly<Record<string, string | undefined>> | undefined): string[] {
  const given = Object.entries(values ?? {}).filter(([, value]) => value !== undefined);
  return given.map(([key, value]) => `${key}: ${value}`).sort();
}

function usage(values: FunctionStatus["usage"]): string[] {
  if (!values) return [];
  const memory = ((values.totalMemoryBytes ?? 0) / 1024 ** 2).toFixed(1);
  return [`RAM: ${memory} MiB`, `CPU: ${Math.round(values.cpu ?? 0)}m`];
}

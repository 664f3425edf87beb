import { Command } from "commander";
import { formatBytes } from "../../contract/bytes.ts";
import type { FunctionStatus } from "../../contract/functions.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { printableLine } from "../printable.ts";
import { connect } from "./connect.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { readStackFile } from "./selection.ts";

interface Flags extends GatewayFlags, StackFlags {
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly sort: string;
}

type Order = (a: FunctionStatus, b: FunctionStatus) => number;

const ORDERS: Readonly<Record<string, Order>> = {
  name: (a, b) => (a.name < b.name ? -1 : 1),
  invocations: (a, b) => (b.invocationCount ?? 0) - (a.invocationCount ?? 0),
  creation: (a, b) => Date.parse(a.createdAt ?? "") - Date.parse(b.createdAt ?? ""),
};

/** `faaslane list` */
export function listCommand(io: Io): Command {
  const command = new Command("list")
    .option("-v, --verbose", "show images and creation times too")
    .option("-q, --quiet", "names only")
    .option("-j, --json", "as JSON")
    .option("--sort <field>", `by ${Object.keys(ORDERS).join(", ")}`, "name");
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    const order = ORDERS[flags.sort];
    if (!order) throw new CliError(`--sort must be one of ${Object.keys(ORDERS).join(", ")}`);
    const stack = await readStackFile(io, flags);
    const { client } = await connect(io, flags, { stackGateway: stack?.gateway });
    const functions = (await client.listFunctions(flags.namespace)).sort(order);
    io.stdout.write(format(functions, flags));
  });
}

function format(functions: readonly FunctionStatus[], { json, quiet, verbose }: Flags): string {
  if (json) return `${JSON.stringify(functions, null, 2)}\n`;
  if (quiet) return functions.map(({ name }) => `${name}\n`).join("");
  const rows = functions.map((fn) => ({
    ...fn,
    name: printableLine(fn.name),
    image: printableLine(fn.image),
    invocations: fn.invocationCount ?? 0,
    count: fn.replicas ?? 0,
  }));
  if (!verbose) {
    const row = (name: string, calls: string, replicas: string) =>
      `${name.padEnd(30)}\t${calls.padEnd(15)}\t${replicas.padEnd(5)}\n`;
    const lines = rows.map((fn) => row(fn.name, `${fn.invocations}`, `${fn.count}`));
    return row("Function", "Invocations", "Replicas") + lines.join("");
  }
  const row = (name: string, image: string, calls: string, replicas: string, created: string, size?: string) =>
    `${name.padEnd(30)}\t${image.padEnd(40)}\t${calls.padEnd(15)}\t${replicas.padEnd(10)}\t${created}${size === undefined ? "" : `\t${size}`}\n`;
  // Only where it is known of any: others have the columns of faas-cli.
  const isSized = rows.some(({ imageBytes }) => imageBytes !== undefined);
  const sizeOf = ({ imageBytes }: FunctionStatus) =>
    isSized ? (imageBytes === undefined ? "" : `${formatBytes(imageBytes)}B`) : undefined;
  const lines = rows.map((fn) =>
    row(fn.name, fn.image, `${fn.invocations}`, `${fn.count}`, fn.createdAt ?? "", sizeOf(fn)),
  );
  const head = row("Function", "Image", "Invocations", "Replicas", "CreatedAt", isSized ? "ImageSize" : undefined);
  return head + lines.join("");
}

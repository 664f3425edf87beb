import { Command } from "commander";
import type { ResourcesClient } from "../client/resources-client.ts";
import { CliError } from "../errors.ts";
import { formatResources } from "../events/format-resources.ts";
import { parseSubscriberFlag, readSpecFile, settingsOf } from "../events/read-spec.ts";
import { type Io, writeOut } from "../io.ts";
import { parsePairs } from "../key-values.ts";
import type { StackResourceKind } from "../stack/types.ts";
import { connect } from "./connect.ts";
import { addEventGatewayOptions, type EventGatewayFlags } from "./connect-events.ts";
import { printJson } from "./connect-versions.ts";
import { collectValues, type GatewayFlags } from "./options.ts";

interface AddFlags extends EventGatewayFlags {
  readonly file?: string;
  readonly set?: readonly string[];
  readonly secret?: readonly string[];
}

interface TriggerFlags extends AddFlags {
  readonly broker?: string;
  readonly to?: string;
  readonly type?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly filter?: string;
  readonly deadLetter?: string;
  readonly retry?: string;
  readonly ordered?: boolean;
}

interface SourceFlags extends AddFlags {
  readonly broker?: string;
}

/** What a kind has besides list, show, add and remove. */
const ACTIONS: Readonly<Partial<Record<StackResourceKind, readonly (readonly [name: string, summary: string])[]>>> = {
  trigger: [["resume", "start a trigger again that is suspended, or whose subscriber said that it is gone"]],
  source: [
    ["suspend", "have a source bring nothing until it is resumed"],
    ["resume", "start a suspended source again"],
  ],
};

/** `faaslane brokers`, `triggers`, `sources`, `sinks` and `flows`: list, show, add, remove, and what the kind has besides. */
export function resourcesCommand(io: Io, kind: StackResourceKind): Command {
  const command = new Command(`${kind}s`);
  command.addCommand(listCommand(io, kind), { isDefault: true });
  command.addCommand(showCommand(io, kind));
  command.addCommand(kind === "trigger" ? addTriggerCommand(io) : addCommandOf(io, kind));
  command.addCommand(removeCommand(io, kind));
  for (const [name, summary] of ACTIONS[kind] ?? []) command.addCommand(actionCommand(io, kind, name, summary));
  return command;
}

export async function connectResources(io: Io, flags: GatewayFlags): Promise<ResourcesClient> {
  const { ResourcesClient } = await import("../client/resources-client.ts");
  const { client } = await connect(io, flags);
  return new ResourcesClient(client);
}

function listCommand(io: Io, kind: StackResourceKind): Command {
  const command = new Command("list")
    .alias("ls")
    .description(`${kind}s and how they are`)
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(command);
  return command.action(async () => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectResources(io, flags);
    const resources = await client.list(kind, flags.namespace);
    if (flags.json) printJson(io, resources);
    else if (resources.length === 0) io.stderr.write(`There are no ${kind}s.\n`);
    else await writeOut(io.stdout, formatResources(kind, resources));
  });
}

function showCommand(io: Io, kind: StackResourceKind): Command {
  const command = new Command("show")
    .description(`one ${kind}: what was declared, and how it is`)
    .argument("<name>", "its name")
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(command);
  return command.action(async (name: string) => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectResources(io, flags);
    const found = await client.find(kind, name, flags.namespace);
    if (!found) throw missing(kind, name);
    if (flags.json) printJson(io, found);
    else await writeOut(io.stdout, (await import("../stack/print-yaml.ts")).printYaml(found));
  });
}

function missing(kind: StackResourceKind, name: string): CliError {
  return new CliError(`there is no ${kind} ${name}; \`faaslane ${kind}s list\` shows what there is`);
}

function addBase(kind: StackResourceKind): Command {
  const command = new Command("add").description(`declare a ${kind}, or change it`).argument("<name>", "its name");
  if (kind === "source" || kind === "sink") command.argument("[type]", "of what kind it is, e.g. kafka");
  command
    .option("--file <file>", "what is declared, as YAML or JSON; - for standard input")
    .option("--set <key=value>", "a setting; a.b=1 is a field of an object (repeatable)", collectValues);
  if (kind === "source" || kind === "sink") {
    command.option("--secret <key=name>", "a setting that is a secret: NAME, or NAME/KEY (repeatable)", collectValues);
  }
  if (kind === "source") command.option("--broker <name>", "where its events go");
  return addEventGatewayOptions(command);
}

async function declare(
  io: Io,
  kind: StackResourceKind,
  name: string,
  flags: AddFlags,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const settings = settingsOf(parsePairs("--set", flags.set), parsePairs("--secret", flags.secret));
  const spec = { ...(flags.file !== undefined && (await readSpecFile(io, flags.file))), ...settings, ...more };
  const client = await connectResources(io, flags);
  const isNew = await client.declare(kind, name, spec, flags.namespace);
  io.stdout.write(`${isNew ? "Declared" : "Updated"}: ${kind}/${name}\n`);
}

function addCommandOf(io: Io, kind: StackResourceKind): Command {
  const command = addBase(kind);
  return command.action(async (name: string, type?: unknown) => {
    const flags = command.opts<SourceFlags>();
    const { broker } = flags;
    await declare(io, kind, name, flags, {
      ...(typeof type === "string" && { type }),
      ...(broker !== undefined && { broker }),
    });
  });
}

function addTriggerCommand(io: Io): Command {
  const command = addBase("trigger");
  command
    .option(
      "--to <subscriber>",
      "who gets the events: a function NAME or NAME@VERSION, broker/NAME, sink/NAME or a URL",
    )
    .option("--broker <name>", "whose events")
    .option("--type <type>", "only of this type; prefix* and *suffix do too")
    .option("--source <source>", "only from this source, likewise")
    .option("--subject <subject>", "only about this subject, likewise")
    .option("--filter <expression>", "only where this expression in CESQL is true")
    .option("--dead-letter <subscriber>", "who gets what could not be delivered")
    .option("--retry <count>", "tries after the first one")
    .option("--ordered", "those of one partitionkey one after another");
  return command.action(async (name: string) => {
    const flags = command.opts<TriggerFlags>();
    await declare(io, "trigger", name, flags, triggerOf(flags));
  });
}

/** What flags say of a trigger. @throws {CliError} */
function triggerOf({ to, broker, filter, deadLetter, retry, ordered, ...attributes }: TriggerFlags) {
  const filters = [
    ...(["type", "source", "subject"] as const).flatMap((name) => attributeFilter(name, attributes[name]) ?? []),
    ...(filter === undefined ? [] : [{ cesql: filter }]),
  ];
  if (retry !== undefined && !/^\d{1,4}$/.test(retry)) throw new CliError("--retry must be a whole number");
  const delivery = {
    ...(retry !== undefined && { retry: Number(retry) }),
    ...(deadLetter !== undefined && { deadLetterSink: parseSubscriberFlag(deadLetter) }),
  };
  return {
    ...(broker !== undefined && { broker }),
    ...(filters.length > 0 && { filters }),
    ...(to !== undefined && { subscriber: parseSubscriberFlag(to) }),
    ...(Object.keys(delivery).length > 0 && { delivery }),
    ...(ordered && { order: "partitionkey" }),
  };
}

function attributeFilter(name: string, text: string | undefined): object | undefined {
  if (text === undefined) return undefined;
  if (text.length > 1 && text.endsWith("*")) return { prefix: { [name]: text.slice(0, -1) } };
  return text.length > 1 && text.startsWith("*") ? { suffix: { [name]: text.slice(1) } } : { exact: { [name]: text } };
}

const FORCE: Readonly<Partial<Record<StackResourceKind, string>>> = {
  broker: "also when events are still to be delivered, which are dropped",
  flow: "also when runs are under way, which are cancelled",
};

function removeCommand(io: Io, kind: StackResourceKind): Command {
  const command = new Command("remove").alias("rm").description(`remove a ${kind}`).argument("<name>", "its name");
  command.option("--force", FORCE[kind] ?? "also what an object of the cluster has left behind");
  addEventGatewayOptions(command);
  return command.action(async (name: string) => {
    const flags = command.opts<EventGatewayFlags & { readonly force?: boolean }>();
    const client = await connectResources(io, flags);
    if (!(await client.remove(kind, name, flags.namespace, flags.force))) throw missing(kind, name);
    io.stdout.write(`Removed: ${kind}/${name}\n`);
  });
}

function actionCommand(io: Io, kind: StackResourceKind, action: string, summary: string): Command {
  const command = new Command(action).description(summary).argument("<name>", "its name");
  addEventGatewayOptions(command);
  return command.action(async (name: string) => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectResources(io, flags);
    await client.act(kind, name, action, flags.namespace);
    io.stdout.write(`${action === "suspend" ? "Suspended" : "Resumed"}: ${kind}/${name}\n`);
  });
}

import { Command } from "commander";
import { describeAnswer, type GatewayAnswer } from "../client/gateway-client.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { parseRecord } from "../key-values.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, collectValues, type GatewayFlags } from "./options.ts";

interface Flags extends GatewayFlags {
  readonly label?: readonly string[];
  readonly annotation?: readonly string[];
  readonly json?: boolean;
}

/** Marks a namespace as one for functions; servers look at the label, the annotation, or both. */
const MARK = { openfaas: "1" };

/** `faaslane namespace …`; by itself, as `faaslane namespaces`, it lists them. */
export function namespaceCommand(io: Io): Command {
  const namespace = new Command("namespace");
  const add = (name: string, summary: string, isDefault = false) => {
    const command = new Command(name).description(summary);
    namespace.addCommand(command, { isDefault });
    return addGatewayOptions(command);
  };
  const withMetadata = (command: Command) =>
    command
      .argument("<name>", "the namespace")
      .option("-l, --label <key=value>", "label (repeatable)", collectValues)
      .option("--annotation <key=value>", "annotation (repeatable)", collectValues);

  const list = add("list", "list namespaces", true).alias("ls").option("-j, --json", "as JSON");
  list.action(async () => {
    const flags = list.opts<Flags>();
    const names = await (await connect(io, flags)).client.listNamespaces();
    if (flags.json) io.stdout.write(`${JSON.stringify(names, null, 2)}\n`);
    else io.stdout.write(["Namespaces:", ...names.map((name) => ` - ${name}`)].map((line) => `${line}\n`).join(""));
  });

  const create = withMetadata(add("create", "create a namespace"));
  create.action(async (name: string) => {
    const flags = create.opts<Flags>();
    const { client } = await connect(io, flags);
    assertStatus(await client.createNamespace(definition(name, flags)), name);
    io.stdout.write(`Namespace: ${name} created\n`);
  });

  const update = withMetadata(add("update", "replace the labels and annotations of a namespace"));
  update.action(async (name: string) => {
    const flags = update.opts<Flags>();
    const { client } = await connect(io, flags);
    assertStatus(await client.updateNamespace(definition(name, flags)), name);
    io.stdout.write(`Namespace: ${name} updated\n`);
  });

  const get = add("get", "show a namespace").argument("<name>", "the namespace").option("-j, --json", "as JSON");
  get.action(async (name: string) => {
    const flags = get.opts<Flags>();
    const found = await (await connect(io, flags)).client.getNamespace(name);
    if (flags.json) io.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    else
      io.stdout.write(
        [`Name: ${found.name}\n`, ...table("Labels", found.labels), ...table("Annotations", found.annotations)].join(
          "",
        ),
      );
  });

  const remove = add("remove", "remove a namespace").aliases(["rm", "delete"]).argument("<name>", "the namespace");
  remove.action(async (name: string) => {
    const { client } = await connect(io, remove.opts<Flags>());
    assertStatus(await client.removeNamespace({ name, labels: MARK }), name);
    io.stdout.write(`Namespace: ${name} removed\n`);
  });
  return namespace;
}

function definition(name: string, { label, annotation }: Flags) {
  return {
    name,
    annotations: { ...parseRecord("--annotation", annotation), ...MARK },
    labels: { ...parseRecord("--label", label), ...MARK },
  };
}

function assertStatus(answer: GatewayAnswer, name: string): void {
  const { status } = answer;
  if ([200, 201, 202].includes(status)) return;
  throw new CliError(
    `namespace ${name}: ${describeAnswer(answer)}${status === 404 ? "; `faaslane namespace list` shows all" : ""}`,
  );
}

function table(title: string, values: Readonly<Record<string, string>> | undefined): string[] {
  const lines = Object.entries(values ?? {})
    .sort()
    .map(([key, value]) => `  ${key}: ${value}\n`);
  return lines.length === 0 ? [] : [`${title}:\n`, ...lines];
}

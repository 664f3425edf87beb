import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import type { CloudEvent } from "../../events/codec/cloud-event.ts";
import type { EventMessage } from "../client/events-client.ts";
import { CliError } from "../errors.ts";
import { EVENT_MODES, type EventMode, eventFromFlags, eventsFromFile, messageOf } from "../events/read-event.ts";
import { type Io, readAll } from "../io.ts";
import { parseRecord } from "../key-values.ts";
import { addEventGatewayOptions, connectEvents, type EventGatewayFlags } from "./connect-events.ts";
import { printJson } from "./connect-versions.ts";
import { collectValues } from "./options.ts";

/** Flags that describe an event. */
export interface EventOptionFlags extends EventGatewayFlags {
  readonly type?: string;
  readonly id?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly time?: string;
  readonly contentType?: string;
  readonly data?: string;
  readonly dataFile?: string;
  readonly file?: string;
  readonly attribute?: readonly string[];
  readonly mode: EventMode;
  readonly key?: string;
}

interface Flags extends EventOptionFlags {
  readonly broker: string;
}

/** Of a file; a gateway takes less by default. */
const LIMIT_BYTES = 64 * 1024 * 1024;

export function addEventOptions(command: Command): Command {
  command
    .option("--type <type>", "its type")
    .option("--id <id>", "its id (default: a new one)")
    .option("--source <source>", "where it has happened (default: /faaslane/cli)")
    .option("--subject <subject>", "what it has happened to")
    .option("--time <time>", "when, as in RFC 3339 (default: now)")
    .option("--data <text>", "what there is to tell")
    .option("--data-file <file>", "the same, from a file; - for standard input")
    .option("--content-type <type>", "of the data (default: application/json or text/plain, by what they are)")
    .option("--attribute <key=value>", "a further attribute, e.g. partitionkey=7 (repeatable)", collectValues)
    .option("--file <file>", "an event, or a list of them, in the JSON format; - for standard input")
    .addOption(new Option("--mode <mode>", "how it is written into the request").choices(EVENT_MODES).default("binary"))
    .option("--key <key>", "sent twice with one key, it is taken once")
    .option("-j, --json", "as JSON");
  return addEventGatewayOptions(command);
}

/** `faaslane events send [TYPE]` */
export function sendCommand(io: Io): Command {
  const command = new Command("send")
    .description("send an event, described by flags or as a file in the JSON format of CloudEvents")
    .argument("[type]", "what has happened, e.g. order.created; the same as --type")
    .option("--broker <name>", "which broker", "default");
  addEventOptions(command);
  return command.action(async (type: string | undefined) => {
    const flags = command.opts<Flags>();
    if (type !== undefined && flags.type !== undefined) throw new CliError("give the type once");
    const message = await readEvents(io, flags, type ?? flags.type);
    const client = await connectEvents(io, flags);
    const broker = flags.namespace === undefined ? flags.broker : `${flags.namespace}/${flags.broker}`;
    await client.send(broker, message);
    const sent = message.events.map(({ attributes: { id, source } }) => ({ id, source }));
    if (flags.json) printJson(io, sent);
    else io.stdout.write(sent.map(({ id }) => `Event sent: ${String(id)}\n`).join(""));
  });
}

/** The events that flags describe, as a request has them. @throws {CliError} */
export async function readEvents(
  io: Io,
  flags: EventOptionFlags,
  type: string | undefined,
): Promise<EventMessage & { readonly events: readonly CloudEvent[] }> {
  const { file, data, dataFile, mode, key } = flags;
  if ([file, data, dataFile].filter((value) => value !== undefined).length > 1) {
    throw new CliError("--file, --data and --data-file exclude each other");
  }
  const told = { ...flags, type, attributes: parseRecord("--attribute", flags.attribute) };
  const bytes = data === undefined ? dataFile && (await readBytesOf(io, dataFile)) : Buffer.from(data);
  const events =
    file === undefined
      ? [eventFromFlags(told, bytes || undefined, new Date())]
      : eventsFromFile(await readBytesOf(io, file), told, file);
  const { headers, body } = messageOf(events, mode);
  return { events, headers: { ...headers, ...(key !== undefined && { "Idempotency-Key": key }) }, body };
}

async function readBytesOf(io: Io, file: string): Promise<Buffer> {
  if (file === "-") return await readAll(io.stdin, LIMIT_BYTES);
  try {
    return await readAll(createReadStream(resolve(io.cwd, file)), LIMIT_BYTES);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (cause as Error).message;
    throw new CliError(`cannot read ${file}: ${why}`, { cause });
  }
}

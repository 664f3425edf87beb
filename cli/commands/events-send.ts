import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { CliError } from "../errors.ts";
import { EVENT_MODES, type EventMode, eventFromFlags, eventsFromFile, messageOf } from "../events/read-event.ts";
import { type Io, readAll } from "../io.ts";
import { parseRecord } from "../key-values.ts";
import { addEventGatewayOptions, connectEvents, type EventGatewayFlags } from "./connect-events.ts";
import { printJson } from "./connect-versions.ts";
import { collectValues } from "./options.ts";

interface Flags extends EventGatewayFlags {
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
  readonly broker: string;
  readonly mode: EventMode;
  readonly key?: string;
}

/** Of a file; a gateway takes less by default. */
const LIMIT_BYTES = 64 * 1024 * 1024;

/** `faaslane events send [TYPE]` */
export function sendCommand(io: Io): Command {
  const command = new Command("send")
    .description("send an event, described by flags or as a file in the JSON format of CloudEvents")
    .argument("[type]", "what has happened, e.g. order.created")
    .option("--type <type>", "the same")
    .option("--id <id>", "its id (default: a new one)")
    .option("--source <source>", "where it has happened (default: /faaslane/cli)")
    .option("--subject <subject>", "what it has happened to")
    .option("--time <time>", "when, as in RFC 3339 (default: now)")
    .option("--data <text>", "what there is to tell")
    .option("--data-file <file>", "the same, from a file; - for standard input")
    .option("--content-type <type>", "of the data (default: application/json or text/plain, by what they are)")
    .option("--attribute <key=value>", "a further attribute, e.g. partitionkey=7 (repeatable)", collectValues)
    .option("--file <file>", "an event, or a list of them, in the JSON format; - for standard input")
    .option("--broker <name>", "which broker", "default")
    .addOption(new Option("--mode <mode>", "how it is written into the request").choices(EVENT_MODES).default("binary"))
    .option("--key <key>", "sent twice with one key, it is taken once")
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(command);
  return command.action(async (type: string | undefined) => {
    const flags = command.opts<Flags>();
    if (type !== undefined && flags.type !== undefined) throw new CliError("give the type once");
    const told = { ...flags, type: type ?? flags.type, attributes: parseRecord("--attribute", flags.attribute) };
    const events = await readEvents(io, flags, told);
    const { headers, body } = messageOf(events, flags.mode);
    const client = await connectEvents(io, flags);
    const broker = flags.namespace === undefined ? flags.broker : `${flags.namespace}/${flags.broker}`;
    const key = flags.key === undefined ? {} : { "Idempotency-Key": flags.key };
    await client.send(broker, { headers: { ...headers, ...key }, body });
    const sent = events.map(({ attributes: { id, source } }) => ({ id, source }));
    if (flags.json) printJson(io, sent);
    else io.stdout.write(sent.map(({ id }) => `Event sent: ${String(id)}\n`).join(""));
  });
}

async function readEvents(io: Io, { file, data, dataFile }: Flags, told: Parameters<typeof eventFromFlags>[0]) {
  if ([file, data, dataFile].filter((value) => value !== undefined).length > 1) {
    throw new CliError("--file, --data and --data-file exclude each other");
  }
  if (file !== undefined) return eventsFromFile(await readBytesOf(io, file), told, file);
  const bytes = data === undefined ? dataFile && (await readBytesOf(io, dataFile)) : Buffer.from(data);
  return [eventFromFlags(told, bytes || undefined, new Date())];
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

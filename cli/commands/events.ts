import { Command } from "commander";
import type { EventSummary } from "../../contract/events/event-report.ts";
import { CliError } from "../errors.ts";
import { formatEvent, formatEventLine, formatEvents } from "../events/format-events.ts";
import { type Io, writeOut } from "../io.ts";
import {
  addEventGatewayOptions,
  addEventSelection,
  connectEvents,
  type EventGatewayFlags,
  type EventSelectionFlags,
  eventFilterOf,
} from "./connect-events.ts";
import { printJson } from "./connect-versions.ts";
import { replayCommand, replaysCommand } from "./events-replay.ts";
import { sendCommand } from "./events-send.ts";

interface ListFlags extends EventSelectionFlags {
  readonly limit: string;
}

interface ShowFlags extends EventGatewayFlags {
  readonly source?: string;
}

const MAX_PAGE = 1_000;

/** `faaslane events …` */
export function eventsCommand(io: Io): Command {
  const events = new Command("events");
  events.addCommand(sendCommand(io));
  events.addCommand(listCommand(io));
  events.addCommand(showCommand(io));
  events.addCommand(whyCommand(io));
  events.addCommand(tailCommand(io));
  events.addCommand(replayCommand(io));
  events.addCommand(replaysCommand(io));
  return events;
}

function listCommand(io: Io): Command {
  const command = new Command("list")
    .alias("ls")
    .description("events and what has become of them, newest first")
    .option("--id <id>", "only those with this id")
    .option("--limit <count>", "at most so many", "50")
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(addEventSelection(command));
  return command.action(async () => {
    const flags = command.opts<ListFlags>();
    if (!/^[1-9]\d{0,6}$/.test(flags.limit)) throw new CliError("--limit must be a whole number of at least 1");
    const filter = eventFilterOf(flags);
    const client = await connectEvents(io, flags);
    const items: EventSummary[] = [];
    let after: string | undefined;
    do {
      const limit = Math.min(Number(flags.limit) - items.length, MAX_PAGE);
      const page = await client.list(filter, { limit: String(limit), after });
      items.push(...page.items);
      after = page.next;
    } while (after !== undefined && items.length < Number(flags.limit));
    if (flags.json) printJson(io, items);
    else if (items.length === 0) io.stderr.write("No such event is known.\n");
    else await writeOut(io.stdout, formatEvents(items, after !== undefined));
  });
}

function nameOptions(command: Command): Command {
  command
    .argument("<id>", "its id, or the name that the platform has given it (REF; ref:REF where an id could be meant)")
    .option("--source <source>", "its source, where several have the id");
  return addEventGatewayOptions(command);
}

function showCommand(io: Io): Command {
  const command = nameOptions(
    new Command("show")
      .description("all that is known of an event, with secrets hidden")
      .option("-j, --json", "as JSON"),
  );
  return command.action(async (id: string) => {
    const flags = command.opts<ShowFlags>();
    const client = await connectEvents(io, flags);
    const found = await client.find(id, flags);
    if (flags.json) printJson(io, found);
    else if ("items" in found) {
      io.stderr.write(`${found.items.length} events have this name; say ref:REF, or --source.\n`);
      await writeOut(io.stdout, formatEvents(found.items, found.next !== undefined));
    } else await writeOut(io.stdout, formatEvent(found));
  });
}

function whyCommand(io: Io): Command {
  const command = nameOptions(
    new Command("why")
      .description("what has become of an event, and why, in words: which trigger wanted it, which did not, each try")
      .option("-j, --json", "as JSON"),
  );
  return command.action(async (id: string) => {
    const flags = command.opts<ShowFlags>();
    const client = await connectEvents(io, flags);
    const found = await client.why(id, flags);
    if (flags.json) printJson(io, found);
    else await writeOut(io.stdout, found.map(({ lines }) => `${lines.join("\n")}\n`).join("\n"));
  });
}

function tailCommand(io: Io): Command {
  const command = new Command("tail")
    .description("events as they arrive, each once more when it has been delivered or given up; until Ctrl-C")
    .option("-j, --json", "a line of JSON for each");
  addEventGatewayOptions(addEventSelection(command));
  return command.action(async () => {
    const flags = command.opts<EventSelectionFlags>();
    if (flags.since !== undefined || flags.until !== undefined) {
      throw new CliError("tail begins now: faaslane events list takes --since and --until");
    }
    const client = await connectEvents(io, flags);
    const signal = io.signal ?? new AbortController().signal;
    for await (const event of client.follow(eventFilterOf(flags), signal)) {
      await writeOut(io.stdout, flags.json ? `${JSON.stringify(event)}\n` : formatEventLine(event));
    }
  });
}

import { Command } from "commander";
import { FaasError } from "../../contract/errors.ts";
import { decodeReplayRequest, type ReplayReport } from "../../contract/events/replay-spec.ts";
import { sleep } from "../../kit/sleep.ts";
import type { EventsClient } from "../client/events-client.ts";
import { CliError, SilentFailure } from "../errors.ts";
import { formatDryRun, formatReplay, formatReplays, progressOf } from "../events/format-replays.ts";
import type { Io } from "../io.ts";
import {
  addEventGatewayOptions,
  addEventSelection,
  connectEvents,
  type EventGatewayFlags,
  type EventSelectionFlags,
  statesOfFlags,
  triggerOfFlags,
} from "./connect-events.ts";
import { printJson } from "./connect-versions.ts";

interface Flags extends EventSelectionFlags {
  readonly all?: boolean;
  readonly to?: string;
  readonly rate?: string;
  readonly name?: string;
  readonly replies?: boolean;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
}

const LOOK_MS = 500;
const OVER: ReadonlySet<string> = new Set(["COMPLETED", "CANCELLED", "FAILED"]);

/** `faaslane events replay [EVENT…]` */
export function replayCommand(io: Io): Command {
  const command = new Command("replay")
    .description("send events again: to the triggers that got them, or to a function or trigger of your choice")
    .argument("[events...]", "single events, by their REF or id")
    .option("--all", "all that there are")
    .option(
      "--to <receiver>",
      "NAME, NAME@VERSION or NAME@TAG of a function, or trigger/NAME (default: their triggers)",
    )
    .option("--rate <count>", "events a second (default: 100)")
    .option("--name <name>", "name of the replay, e.g. that of an incident")
    .option("--replies", "let answers go on to the broker as they did the first time")
    .option("--dry-run", "only tell which events it would be")
    .option("--wait", "wait for its end and tell how far it is; what is sent may still be delivered afterwards")
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(addEventSelection(command));
  return command.action(async (events: readonly string[]) => {
    const flags = command.opts<Flags>();
    const request = requestOf(events, flags);
    const client = await connectEvents(io, flags);
    if (flags.dryRun) {
      const found = await client.dryRun(request, flags.namespace);
      if (flags.json) printJson(io, found);
      else io.stdout.write(formatDryRun(found));
      return;
    }
    const replay = await client.replay(request, flags.namespace);
    if (!flags.json) io.stdout.write(`Replay: ${replay.name}\n`);
    const last = flags.wait ? await waitForEnd(io, client, replay, flags) : replay;
    if (flags.json) printJson(io, last);
    if (last.state === "FAILED" || last.state === "CANCELLED") throw new SilentFailure();
  });
}

function requestOf(events: readonly string[], flags: Flags) {
  const { broker, source, type, since, until, all, to, rate, name, replies } = flags;
  if (rate !== undefined && !/^\d{1,6}(\.\d{1,3})?$/.test(rate)) throw new CliError("--rate must be a number");
  const given = {
    name,
    broker,
    source,
    type,
    trigger: triggerOfFlags(flags),
    states: statesOfFlags(flags),
    since,
    until,
    all,
    to,
    replies,
    rate: rate === undefined ? undefined : Number(rate),
    events: events.length > 0 ? events : undefined,
  };
  try {
    return decodeReplayRequest(given);
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    throw new CliError(error.message, { cause: error });
  }
}

async function waitForEnd(io: Io, client: EventsClient, first: ReplayReport, { json }: Flags): Promise<ReplayReport> {
  let told = "";
  for (let replay = first; ; replay = await client.replayOf(first.name, first.namespace)) {
    const line = `${replay.state} ${progressOf(replay)}${replay.problem === undefined ? "" : `: ${replay.problem}`}`;
    if (line !== told && !json) io.stdout.write(`${line}\n`);
    told = line;
    if (OVER.has(replay.state)) return replay;
    await sleep(LOOK_MS, io.signal);
    if (io.signal?.aborted) return replay;
  }
}

/** `faaslane events replays [list|show|cancel]` */
export function replaysCommand(io: Io): Command {
  const replays = new Command("replays").description("replays, how far they are, and their end");
  replays.addCommand(listCommand(io), { isDefault: true });
  replays.addCommand(showCommand(io));
  replays.addCommand(cancelCommand(io));
  return replays;
}

function listCommand(io: Io): Command {
  const command = new Command("list").alias("ls").description("replays, newest first").option("-j, --json", "as JSON");
  addEventGatewayOptions(command);
  return command.action(async () => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectEvents(io, flags);
    const replays = await client.replays(flags.namespace);
    if (flags.json) printJson(io, replays);
    else if (replays.length === 0) io.stderr.write("There are no replays.\n");
    else io.stdout.write(formatReplays(replays));
  });
}

function showCommand(io: Io): Command {
  const command = new Command("show")
    .description("what a replay is about and how far it is")
    .argument("<name>", "its name")
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(command);
  return command.action(async (name: string) => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectEvents(io, flags);
    const replay = await client.replayOf(name, flags.namespace);
    if (flags.json) printJson(io, replay);
    else io.stdout.write(formatReplay(replay));
  });
}

function cancelCommand(io: Io): Command {
  const command = new Command("cancel")
    .description("end a replay that runs, or forget one that has ended")
    .argument("<name>", "its name");
  addEventGatewayOptions(command);
  return command.action(async (name: string) => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectEvents(io, flags);
    const ran = await client.removeReplay(name, flags.namespace);
    io.stdout.write(ran ? `Cancelled: ${name}\n` : `Forgotten: ${name}\n`);
  });
}

import { Command, Option } from "commander";
import { RUN_STATES, type RunSummary } from "../../contract/events/flow-run.ts";
import { sleep } from "../../kit/sleep.ts";
import type { FlowsClient } from "../client/flows-client.ts";
import { CliError, SilentFailure } from "../errors.ts";
import { formatRun, formatRuns } from "../events/format-runs.ts";
import { type Io, writeOut } from "../io.ts";
import { connect } from "./connect.ts";
import { addEventGatewayOptions, type EventGatewayFlags } from "./connect-events.ts";
import { printJson } from "./connect-versions.ts";
import { addEventOptions, type EventOptionFlags, readEvents } from "./events-send.ts";
import type { GatewayFlags } from "./options.ts";
import { resourcesCommand } from "./resources.ts";

interface RunsFlags extends EventGatewayFlags {
  readonly state?: string;
  readonly limit: string;
}

interface RunFlags extends EventOptionFlags {
  readonly wait?: boolean;
}

const LOOK_MS = 300;
/** Of an event that only starts a run. */
const DEFAULT_TYPE = "com.faaslane.flow.run";

/** `faaslane flows …`: what all that is declared has, and runs. */
export function flowsCommand(io: Io): Command {
  const flows = resourcesCommand(io, "flow");
  flows.addCommand(runsCommand(io));
  flows.addCommand(runCommand(io));
  flows.addCommand(showRunCommand(io));
  flows.addCommand(actionCommand(io, "cancel", "end a run: its steps are not called any more", "Cancelled"));
  flows.addCommand(actionCommand(io, "resume", "have a run go on at the step that it has failed at", "Resumed"));
  return flows;
}

async function connectFlows(io: Io, flags: GatewayFlags): Promise<FlowsClient> {
  const { FlowsClient } = await import("../client/flows-client.ts");
  const { client } = await connect(io, flags);
  return new FlowsClient(client);
}

function runsCommand(io: Io): Command {
  const command = new Command("runs")
    .description("runs, newest first")
    .argument("[flow]", "only those of this flow")
    .addOption(new Option("--state <state>", "only those in it").choices(RUN_STATES))
    .option("--limit <count>", "at most so many", "50")
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(command);
  return command.action(async (flow: string | undefined) => {
    const flags = command.opts<RunsFlags>();
    const { namespace, state, limit } = flags;
    if (!/^[1-9]\d{0,5}$/.test(limit)) throw new CliError("--limit must be a whole number of at least 1");
    const client = await connectFlows(io, flags);
    const items: RunSummary[] = [];
    let after: string | undefined;
    do {
      const most = String(Math.min(Number(limit) - items.length, 500));
      const page = await client.runs({ namespace, flow, state, limit: most, after });
      items.push(...page.items);
      after = page.next;
    } while (after !== undefined && items.length < Number(limit));
    if (flags.json) printJson(io, items);
    else if (items.length === 0) io.stderr.write("There are no such runs.\n");
    else await writeOut(io.stdout, formatRuns(items, after !== undefined));
  });
}

function runCommand(io: Io): Command {
  const command = new Command("run")
    .description("start a run of a flow with an event, described as for `events send`")
    .argument("<flow>", "the flow")
    .option("--wait", "wait for its end and show it; the exit code is 1 unless it has succeeded");
  addEventOptions(command);
  return command.action(async (flow: string) => {
    const flags = command.opts<RunFlags>();
    const message = await readEvents(io, flags, flags.file === undefined ? (flags.type ?? DEFAULT_TYPE) : flags.type);
    if (message.events.length > 1) throw new CliError("a run begins with one event, and the file has several");
    const client = await connectFlows(io, flags);
    const run = await client.run(flow, message, flags.namespace);
    if (flags.wait) await follow(io, client, run, flags);
    else if (flags.json) printJson(io, run);
    else io.stdout.write(`Run: ${run.id}\n`);
  });
}

async function follow(io: Io, client: FlowsClient, { id, namespace }: RunSummary, { json }: RunFlags): Promise<void> {
  if (!json) io.stdout.write(`Run: ${id}\n`);
  for (;;) {
    const run = await client.show(id, namespace);
    if (run.state !== "running" || io.signal?.aborted) {
      if (json) printJson(io, run);
      else await writeOut(io.stdout, formatRun(run));
      if (run.state !== "succeeded") throw new SilentFailure();
      return;
    }
    await sleep(LOOK_MS, io.signal);
  }
}

function showRunCommand(io: Io): Command {
  const command = new Command("show-run")
    .description("a run with each of its steps")
    .argument("<run>", "its name, as `flows runs` shows it")
    .option("-j, --json", "as JSON");
  addEventGatewayOptions(command);
  return command.action(async (id: string) => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectFlows(io, flags);
    const run = await client.show(id, flags.namespace);
    if (flags.json) printJson(io, run);
    else await writeOut(io.stdout, formatRun(run));
  });
}

function actionCommand(io: Io, action: "cancel" | "resume", summary: string, done: string): Command {
  const command = new Command(action).description(summary).argument("<run>", "its name, as `flows runs` shows it");
  addEventGatewayOptions(command);
  return command.action(async (id: string) => {
    const flags = command.opts<EventGatewayFlags>();
    const client = await connectFlows(io, flags);
    await client.act(id, action, flags.namespace);
    io.stdout.write(`${done}: ${id}\n`);
  });
}

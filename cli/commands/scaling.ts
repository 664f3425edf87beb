import { Command } from "commander";
import type { ScalingClient } from "../client/scaling-client.ts";
import { parseDurationFlag } from "../duration.ts";
import { CliError } from "../errors.ts";
import { type Io, writeOut } from "../io.ts";
import { formatReport } from "../scaling/format-report.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";
import { wantsJson } from "./output-format.ts";
import { simulateCommand } from "./scaling-simulate.ts";

interface Flags extends GatewayFlags {
  readonly output?: string;
  readonly since?: string;
}

/** `faaslane scaling explain|history|simulate`; the gateway is not taken from the stack file. */
export function scalingCommand(io: Io): Command {
  const scaling = new Command("scaling");
  scaling.addCommand(explainCommand(io));
  scaling.addCommand(historyCommand(io));
  scaling.addCommand(simulateCommand(io));
  return scaling;
}

function explainCommand(io: Io): Command {
  const command = new Command("explain")
    .description("why a function has the replicas it has")
    .argument("<name>", "the function")
    .option("-o, --output <format>", "text or json", "text");
  addNamespaceOption(addGatewayOptions(command));
  return command.action(async (name: string) => {
    const flags = command.opts<Flags>();
    const asJson = wantsJson(flags.output);
    const client = await connectScaling(io, flags);
    const report = await client.explain(name, flags.namespace);
    await writeOut(io.stdout, asJson ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report, Date.now()));
  });
}

function historyCommand(io: Io): Command {
  const command = new Command("history")
    .description("what decisions were made from, as NDJSON, to be simulated again")
    .argument("<name>", "the function")
    .option("--since <time>", "from then on: RFC 3339, or a duration ago such as 10m");
  addNamespaceOption(addGatewayOptions(command));
  return command.action(async (name: string) => {
    const flags = command.opts<Flags>();
    const since = flags.since === undefined ? undefined : parseSince(flags.since, Date.now());
    const client = await connectScaling(io, flags);
    await writeOut(io.stdout, await client.history(name, flags.namespace, since));
  });
}

async function connectScaling(io: Io, flags: GatewayFlags): Promise<ScalingClient> {
  const { ScalingClient } = await import("../client/scaling-client.ts");
  const { client } = await connect(io, flags);
  return new ScalingClient(client);
}

function parseSince(text: string, now: number): number {
  if (/^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(Date.parse(text))) return Date.parse(text);
  if (/^\d{4}-/.test(text))
    throw new CliError(`--since must be a time such as 2026-01-31T12:00:00Z, not ${JSON.stringify(text)}`);
  const ago = parseDurationFlag("--since", text);
  // Before 1970 there was nothing to scale.
  return Math.max(0, now - ago);
}

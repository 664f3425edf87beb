import { Command } from "commander";
import { CALL_PRESETS } from "../../contract/ui/series.ts";
import { formatKeptCall, formatKeptCalls } from "../calls-format.ts";
import type { CallsClient } from "../client/calls-client.ts";
import { CliError } from "../errors.ts";
import { type Io, writeOut } from "../io.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";

interface Flags extends GatewayFlags {
  readonly preset: string;
  readonly limit?: string;
  readonly json?: boolean;
}

/** `faaslane calls list|show`: what the dashboard shows of single calls. */
export function callsCommand(io: Io): Command {
  const calls = new Command("calls");
  calls.addCommand(listCommand(io));
  calls.addCommand(showCommand(io));
  return calls;
}

function listCommand(io: Io): Command {
  const command = new Command("list")
    .description("the latest calls of a function, newest first; they are kept from the first time that somebody asks")
    .argument("<name>", "the function")
    .option("--preset <preset>", CALL_PRESETS.join(", "), "all")
    .option("--limit <count>", "at most so many")
    .option("-j, --json", "as JSON");
  addNamespaceOption(addGatewayOptions(command));
  return command.action(async (name: string) => {
    const { preset, limit, json, ...flags } = command.opts<Flags>();
    if (!CALL_PRESETS.some((known) => known === preset)) {
      throw new CliError(`--preset must be one of ${CALL_PRESETS.join(", ")}`);
    }
    const client = await connectCalls(io, flags);
    const found = await client.list({ name, namespace: flags.namespace, preset, limit });
    await writeOut(io.stdout, json ? `${JSON.stringify(found, null, 2)}\n` : formatKeptCalls(found));
  });
}

function showCommand(io: Io): Command {
  const command = new Command("show")
    .description("one of them, with its phases and headers")
    .argument("<id>", "the call")
    .option("-j, --json", "as JSON");
  addGatewayOptions(command);
  return command.action(async (id: string) => {
    const { json, ...flags } = command.opts<Flags>();
    const call = await (await connectCalls(io, flags)).show(id);
    await writeOut(io.stdout, json ? `${JSON.stringify(call, null, 2)}\n` : formatKeptCall(call));
  });
}

async function connectCalls(io: Io, flags: GatewayFlags): Promise<CallsClient> {
  const { CallsClient } = await import("../client/calls-client.ts");
  const { client } = await connect(io, flags);
  return new CallsClient(client);
}

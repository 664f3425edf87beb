import { Command } from "commander";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { connectQueue } from "./connect-queue.ts";
import { deadLettersCommand } from "./dead-letters.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";
import { callbackCommand, listCallsCommand, showCallCommand } from "./queue-calls.ts";
import { formatCall, formatQueue } from "./queue-format.ts";

interface Flags extends GatewayFlags {
  readonly json?: boolean;
  readonly wait?: string;
}

/** `faaslane queue …`; the gateway is not taken from the stack file. */
export function queueCommand(io: Io): Command {
  const queue = new Command("queue");
  queue.addCommand(statusCommand(io));
  queue.addCommand(listCallsCommand(io));
  queue.addCommand(showCallCommand(io));
  queue.addCommand(getCommand(io));
  queue.addCommand(cancelCommand(io));
  queue.addCommand(callbackCommand(io));
  queue.addCommand(purgeCommand(io));
  queue.addCommand(deadLettersCommand(io));
  return queue;
}

function statusCommand(io: Io): Command {
  const command = new Command("status")
    .description("how many calls wait, run and are dead")
    .argument("[name]", "only this function")
    .option("-j, --json", "as JSON");
  addNamespaceOption(addGatewayOptions(command));
  return command.action(async (name: string | undefined) => {
    const flags = command.opts<Flags>();
    if (name === undefined && flags.namespace !== undefined) {
      throw new CliError("--namespace needs the name of a function");
    }
    const client = await connectQueue(io, flags);
    const report = await client.status(name === undefined ? {} : { function: name, namespace: flags.namespace });
    if (flags.json) io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else if (name !== undefined && report.functions.length === 0) io.stderr.write(`No calls to ${name} are known.\n`);
    else io.stdout.write(formatQueue(report, name === undefined));
  });
}

function getCommand(io: Io): Command {
  const command = new Command("get")
    .description("what has become of a call")
    .argument("<id>", "id of the call")
    .option("--wait <duration>", "wait so long for its end, 60s at most")
    .option("-j, --json", "as JSON");
  addGatewayOptions(command);
  return command.action(async (id: string) => {
    const flags = command.opts<Flags>();
    const client = await connectQueue(io, flags);
    const call = await client.call(id, flags.wait);
    io.stdout.write(flags.json ? `${JSON.stringify(call, null, 2)}\n` : formatCall(call));
  });
}

function cancelCommand(io: Io): Command {
  const command = new Command("cancel")
    .description("end a call, whether it waits or runs")
    .argument("<id>", "id of the call");
  addGatewayOptions(command);
  return command.action(async (id: string) => {
    const client = await connectQueue(io, command.opts<Flags>());
    await client.cancel(id);
    // The gateway takes a call that has ended, too: what it was asked for is the case.
    const { state } = await client.call(id);
    const ended = state === "done" || state === "dead" || state === "expired";
    io.stdout.write(ended ? `Had ended before (${state}): ${id}\n` : `Cancelled: ${id}\n`);
  });
}

function purgeCommand(io: Io): Command {
  const command = new Command("purge")
    .description("cancel all calls of a function that wait; those that run go on, dead letters stay")
    .argument("<name>", "the function");
  addNamespaceOption(addGatewayOptions(command));
  return command.action(async (name: string) => {
    const flags = command.opts<Flags>();
    const client = await connectQueue(io, flags);
    io.stdout.write(`Purged: ${await client.purge({ function: name, namespace: flags.namespace })}\n`);
  });
}

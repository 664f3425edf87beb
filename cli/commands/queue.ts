import { Command } from "commander";
import type { Io } from "../io.ts";
import { connectQueue } from "./connect-queue.ts";
import { deadLettersCommand } from "./dead-letters.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";
import { formatCall, formatQueue } from "./queue-format.ts";

interface Flags extends GatewayFlags {
  readonly json?: boolean;
  readonly wait?: string;
}

/** `faaslane queue …`; the gateway is not taken from the stack file. */
export function queueCommand(io: Io): Command {
  const queue = new Command("queue");
  queue.addCommand(statusCommand(io));
  queue.addCommand(getCommand(io));
  queue.addCommand(cancelCommand(io));
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
    const client = await connectQueue(io, flags);
    const report = await client.status(name === undefined ? {} : { function: name, namespace: flags.namespace });
    io.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : formatQueue(report, name === undefined));
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
    io.stdout.write(`Cancelled: ${id}\n`);
  });
}

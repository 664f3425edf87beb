import { Command, Option } from "commander";
import type { ListedCallReport } from "../../contract/calls.ts";
import { CliError } from "../errors.ts";
import { type Io, writeOut } from "../io.ts";
import { printable } from "../printable.ts";
import { connectQueue } from "./connect-queue.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";
import { formatCallDetails, formatCalls } from "./queue-format.ts";

interface ListFlags extends GatewayFlags {
  readonly state?: string;
  readonly queue?: string;
  readonly limit: string;
  readonly json?: boolean;
}

interface ShowFlags extends GatewayFlags {
  readonly body?: boolean;
  readonly json?: boolean;
}

const MAX_PAGE = 1_000;

/** `faaslane queue list [NAME]` */
export function listCallsCommand(io: Io): Command {
  const command = new Command("list")
    .alias("ls")
    .description("calls that wait or run, oldest first")
    .argument("[name]", "only those of this function")
    .addOption(new Option("--state <state>", "only those in this state").choices(["waiting", "running"]))
    .option("--queue <name>", "only those of this queue")
    .option("--limit <count>", "at most so many", "100")
    .option("-j, --json", "as JSON")
    .addHelpText("after", "\nExample:\n  faaslane queue list hello --state waiting --limit 20");
  addNamespaceOption(addGatewayOptions(command));
  return command.action(async (name: string | undefined) => {
    const flags = command.opts<ListFlags>();
    if (!/^[1-9]\d{0,6}$/.test(flags.limit)) throw new CliError("--limit must be a whole number of at least 1");
    if (name === undefined && flags.namespace !== undefined) {
      throw new CliError("--namespace needs the name of a function");
    }
    const { state, queue, namespace } = flags;
    const filter = { function: name, namespace, state, queue };
    const client = await connectQueue(io, flags);
    const items = new Map<string, ListedCallReport>();
    let after: string | undefined;
    do {
      const limit = Math.min(Number(flags.limit) - items.size, MAX_PAGE);
      const page = await client.list({ ...filter, limit: String(limit), after });
      // One that has moved in the queue meanwhile can be in two pages.
      for (const call of page.items) items.set(call.id, call);
      after = page.next;
    } while (after !== undefined && items.size < Number(flags.limit));
    const calls = [...items.values()];
    if (flags.json) io.stdout.write(`${JSON.stringify(calls, null, 2)}\n`);
    else if (calls.length === 0) io.stderr.write("No such call waits or runs.\n");
    else io.stdout.write(formatCalls(calls, after !== undefined));
  });
}

/** `faaslane queue callback ID` */
export function callbackCommand(io: Io): Command {
  const command = new Command("callback")
    .description("send the callback of a call that has ended once more; its function does not run again")
    .argument("<id>", "id of the call")
    .addHelpText("after", "\nExample:\n  faaslane queue callback 0b8a3f0e-5c1d-4e0a-9f6b-1d2c3b4a5968");
  addGatewayOptions(command);
  return command.action(async (id: string) => {
    const client = await connectQueue(io, command.opts<GatewayFlags>());
    await client.callBack(id);
    io.stdout.write(`Callback queued: ${id}\n`);
  });
}

/** `faaslane queue show ID` */
export function showCallCommand(io: Io): Command {
  const command = new Command("show")
    .description(
      "a call and what was sent in it, with secrets hidden; of calls that have ended only dead letters keep that",
    )
    .argument("<id>", "id of the call")
    .option("--body", "the body alone, as it was sent; of a large one the first 16 MiB")
    .option("-j, --json", "as JSON")
    .addHelpText("after", "\nExample:\n  faaslane queue show 0b8a3f0e-5c1d-4e0a-9f6b-1d2c3b4a5968 --body > body.bin");
  addGatewayOptions(command);
  return command.action(async (id: string) => {
    const flags = command.opts<ShowFlags>();
    if (flags.body && flags.json) throw new CliError("--body and --json do not go together");
    const client = await connectQueue(io, flags);
    if (!flags.body) {
      const call = await client.show(id);
      io.stdout.write(flags.json ? `${JSON.stringify(call, null, 2)}\n` : formatCallDetails(call));
      return;
    }
    const { bytes, bodyBytes } = await client.body(id);
    // Anybody may have sent it, so a terminal is not to act on it.
    await writeOut(io.stdout, io.stdout.isTTY ? printable(bytes.toString("utf8")) : bytes);
    if (bytes.length < bodyBytes) io.stderr.write(`These are the first ${bytes.length} of ${bodyBytes} bytes.\n`);
  });
}

import { Command } from "commander";
import type { DeadLetterFlags } from "../client/queue-client.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { connectQueue } from "./connect-queue.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";
import { formatDeadLetters } from "./queue-format.ts";

interface Flags extends GatewayFlags {
  readonly id?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
  readonly json?: boolean;
  readonly all?: boolean;
}

/** `faaslane queue dead-letters list|replay|drop [NAME]` */
export function deadLettersCommand(io: Io): Command {
  const parent = new Command("dead-letters").description("calls that are not tried any more");
  parent.addCommand(listCommand(io));
  parent.addCommand(changeCommand(io, "replay", "queue them anew, with all of their attempts", "Replayed"));
  parent.addCommand(changeCommand(io, "drop", "forget them", "Dropped"));
  return parent;
}

function withFilter(command: Command): Command {
  command
    .argument("[name]", "only those of this function")
    .option("--id <id>", "only this call")
    .option("--since <time>", "that died at or after it: RFC 3339, Unix seconds, or a duration ago such as 1h")
    .option("--until <time>", "that died before it");
  return addNamespaceOption(addGatewayOptions(command));
}

function filterOf(name: string | undefined, { id, since, until, namespace }: Flags): DeadLetterFlags {
  if (name === undefined && namespace !== undefined) throw new CliError("--namespace needs the name of a function");
  return { function: name, namespace, id, since, until };
}

function listCommand(io: Io): Command {
  const command = withFilter(new Command("list").alias("ls").description("list them, oldest first"))
    .option("--limit <count>", "at most so many", "100")
    .option("-j, --json", "as JSON");
  return command.action(async (name: string | undefined) => {
    const flags = command.opts<Flags>();
    if (!/^[1-9]\d{0,6}$/.test(flags.limit)) throw new CliError("--limit must be a whole number of at least 1");
    const filter = filterOf(name, flags);
    const client = await connectQueue(io, flags);
    const items = [];
    let after: string | undefined;
    do {
      const limit = Math.min(Number(flags.limit) - items.length, 1_000);
      const page = await client.deadLetters({ ...filter, limit: String(limit), after });
      items.push(...page.items);
      after = page.next;
    } while (after !== undefined && items.length < Number(flags.limit));
    io.stdout.write(flags.json ? `${JSON.stringify(items, null, 2)}\n` : formatDeadLetters(items, after !== undefined));
  });
}

function changeCommand(io: Io, action: "replay" | "drop", summary: string, done: string): Command {
  const command = withFilter(new Command(action).description(summary)).option("--all", "all that there are");
  return command.action(async (name: string | undefined) => {
    const flags = command.opts<Flags>();
    const filter = filterOf(name, flags);
    const filtered = Object.values(filter).some((value) => value !== undefined);
    if (filtered === (flags.all === true)) {
      throw new CliError(`name a function, --id, --since or --until, or say --all${filtered ? ", not both" : ""}`);
    }
    const client = await connectQueue(io, flags);
    io.stdout.write(`${done}: ${await client[action](filter)}\n`);
  });
}

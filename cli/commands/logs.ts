import { Command } from "commander";
import type { LogMessage } from "../../contract/logs.ts";
import { GatewayError } from "../client/gateway-error.ts";
import { parseDurationFlag } from "../duration.ts";
import { CliError, LIST_SHOWS } from "../errors.ts";
import { type Io, writeOut } from "../io.ts";
import { createReplicaColors, wantsColor } from "../replica-colors.ts";
import { connect } from "./connect.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { readStackFile, selectedNamespace } from "./selection.ts";

interface Flags extends GatewayFlags, StackFlags {
  readonly follow?: boolean;
  readonly tail?: boolean;
  readonly since?: string;
  readonly sinceTime?: string;
  readonly lines: string;
  readonly output: string;
  readonly json?: boolean;
  readonly name?: boolean;
  readonly instance?: boolean;
  readonly timeFormat: string;
}

const TIME_FORMATS: Readonly<Record<string, (timestamp: string) => string>> = {
  RFC3339: (timestamp) => timestamp.replace(/\.\d+/, ""),
  RFC3339Nano: (timestamp) => timestamp,
  Unix: (timestamp) => String(Math.floor(Date.parse(timestamp) / 1000)),
  none: () => "",
};

/** `faaslane logs NAME`: goes on with new lines unless `--tail=false`. */
export function logsCommand(io: Io): Command {
  const command = new Command("logs")
    .argument("<name>", "the function")
    .option("-f, --follow", "go on with new lines (default)")
    .option("-t, --tail", "the same")
    .option("--no-tail", "end after what is there")
    .option("--since <duration>", "only lines of the last while, e.g. 10m")
    .option("--since-time <time>", "only lines since then, as in 2026-01-31T12:00:00Z")
    .option("--lines <count>", "only the last lines of each replica; -1 for all", "-1")
    .option("-o, --output <format>", "plain, keyvalue or json", "plain")
    .option("-j, --json", "the same as --output json")
    .option("--name", "print the name of the function")
    .option("--instance", "print the name of the replica")
    .option("--time-format <format>", Object.keys(TIME_FORMATS).join(", "), "RFC3339");
  addNamespaceOption(addGatewayOptions(addStackOptions(command, "--yaml <file>")));
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<Flags>();
    const format = formatterOf(io, flags);
    const request = {
      name,
      since: sinceOf(flags, Date.now()),
      tail: linesOf(flags.lines),
      follow: flags.follow === true || flags.tail !== false,
    };
    const stack = await readStackFile(io, flags);
    const options = { stackGateway: stack?.gateway, explicitFlag: true };
    const { client } = await connect(io, flags, options);
    const namespace = selectedNamespace(name, flags.namespace, stack);
    const { signal } = new AbortController();
    try {
      for await (const message of client.logs({ ...request, namespace }, signal)) {
        await writeOut(io.stdout, format(message));
      }
    } catch (error) {
      if (!(error instanceof GatewayError) || error.kind !== "notFound") throw error;
      throw new GatewayError(404, error.answeredCode, `${error.message}; ${LIST_SHOWS}`);
    }
  });
}

function linesOf(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new CliError("--lines must be a whole number");
  return Number(text);
}

function sinceOf({ since, sinceTime }: Flags, nowMs: number): string | undefined {
  if (since && sinceTime) throw new CliError("--since and --since-time cannot be used together");
  if (since) return new Date(nowMs - parseDurationFlag("--since", since)).toISOString();
  if (!sinceTime) return undefined;
  if (Number.isNaN(Date.parse(sinceTime)))
    throw new CliError("--since-time must be a time such as 2026-01-31T12:00:00Z");
  return sinceTime;
}

/** How a message is written, with its newline. */
function formatterOf(io: Io, flags: Flags): (message: LogMessage) => string | Buffer {
  const kind = flags.json ? "json" : flags.output;
  const time = TIME_FORMATS[flags.timeFormat];
  if (!time) throw new CliError(`--time-format must be one of ${Object.keys(TIME_FORMATS).join(", ")}`);
  switch (kind) {
    case "json":
      return (message) => `${JSON.stringify(message)}\n`;
    case "keyvalue":
      return (message) => {
        const { timestamp, name, namespace, instance, text } = message;
        const fields = { timestamp: time(timestamp), name, namespace, instance, text: text.replace(/\n$/, "") };
        const pairs = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
        return `${pairs.join(" ")}\n`;
      };
    case "plain": {
      const colored = wantsColor(io) ? createReplicaColors() : undefined;
      return ({ timestamp, name, instance, text }) => {
        const parts = [time(timestamp), flags.name ? name : "", flags.instance ? `(${instance})` : ""];
        const before = parts.filter((part) => part !== "").join(" ");
        const line = text.replace(/\n$/, "");
        if (colored) return colored(instance, before, line);
        return before === "" ? `${line}\n` : `${before} ${line}\n`;
      };
    }
    default:
      throw new CliError("--output must be plain, keyvalue or json");
  }
}

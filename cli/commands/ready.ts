import { Command } from "commander";
import { sleep } from "../../kit/sleep.ts";
import type { GatewayClient } from "../client/gateway-client.ts";
import { parseDurationFlag } from "../duration.ts";
import { CliError, describeError } from "../errors.ts";
import type { Io } from "../io.ts";
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
  readonly attempts: string;
  readonly interval: string;
}

/** `faaslane ready [NAME]`: asks until the gateway is healthy, or the function has a replica that serves. */
export function readyCommand(io: Io): Command {
  const command = new Command("ready")
    .argument("[name]", "the function (default: the gateway itself)")
    .option("--attempts <count>", "how often to ask", "60")
    .option("--interval <duration>", "how long to wait in between", "1s");
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  return command.action(async (name: string | undefined) => {
    const flags = command.optsWithGlobals<Flags>();
    if (!/^[1-9]\d{0,5}$/.test(flags.attempts)) throw new CliError("--attempts must be a whole number of at least 1");
    const attempts = Number(flags.attempts);
    const intervalMs = parseDurationFlag("--interval", flags.interval);
    const stack = await readStackFile(io, flags);
    const { client, url } = await connect(io, flags, { stackGateway: stack?.gateway, timeoutMs: 5_000 });
    const namespace = name === undefined ? undefined : selectedNamespace(name, flags.namespace, stack);
    const what = name === undefined ? `The gateway at ${url}` : `Function ${name}`;

    for (let attempt = 1; ; attempt += 1) {
      const problem = await ask(client, name, namespace);
      if (problem === undefined) {
        io.stdout.write(`${what} is ready\n`);
        return;
      }
      if (attempt >= attempts) throw new CliError(`${what} is not ready after ${attempts} attempts: ${problem}`);
      io.stdout.write(`[${attempt}/${attempts}] ${what} is not ready: ${problem}\n`);
      await sleep(intervalMs);
    }
  });
}

/** Why it is not ready; undefined when it is. Wrong credentials do not mend themselves, so they end the waiting. */
async function ask(client: GatewayClient, name: string | undefined, namespace: string | undefined) {
  try {
    if (name === undefined) {
      const status = await client.health();
      return status === 200 ? undefined : `it answered ${status}`;
    }
    const fn = await client.getFunction(name, namespace);
    if (!fn) return "it is not deployed";
    return (fn.availableReplicas ?? 0) > 0 ? undefined : (fn.problem ?? "it has no replica yet");
  } catch (error) {
    if ((error as { kind?: string }).kind === "unauthorized") throw error;
    return describeError(error);
  }
}

import { Command } from "commander";
import { describeAnswer, type GatewayClient } from "../client/gateway-client.ts";
import { removeResources } from "../deploy/deploy-resources.ts";
import { CliError, describeError, LIST_SHOWS, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import type { StackResource } from "../stack/types.ts";
import { connect } from "./connect.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { chooseAll, readStackFile, selectedNamespace } from "./selection.ts";
import { settleWaitingCalls, type WaitingCalls } from "./waiting-calls.ts";

interface Flags extends GatewayFlags, StackFlags {
  readonly purgeCalls?: boolean;
  readonly keepCalls?: boolean;
}

function waitingCallsOf({ purgeCalls, keepCalls }: Flags): WaitingCalls {
  if (purgeCalls && keepCalls) throw new CliError("--purge-calls and --keep-calls exclude each other");
  return purgeCalls ? "purge" : keepCalls ? "keep" : "ask";
}

/** `faaslane remove [NAME]`: one function, or all of the stack file that match. */
export function removeCommand(io: Io): Command {
  const command = new Command("remove").argument("[name]", "the function (default: those of the stack file)");
  command
    .option("--purge-calls", "drop asynchronous calls that wait for it (default: ask, where somebody can be asked)")
    .option("--keep-calls", "keep them: they are made should the function come back, else they become dead letters");
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  return command.action(async (name: string | undefined) => {
    const flags = command.optsWithGlobals<Flags>();
    const stack = await readStackFile(io, flags);
    const all = name === undefined ? chooseAll(stack, flags, "a name") : undefined;
    const names = all?.functions.map((fn) => fn.name) ?? [name as string];
    const waitingCalls = waitingCallsOf(flags);
    const { client } = await connect(io, flags, { stackGateway: stack?.gateway });
    const { QueueClient } = await import("../client/queue-client.ts");
    const queue = new QueueClient(client);

    const failures: string[] = [];
    // First, so that nothing more is sent to functions that go.
    failures.push(...(await removeDeclared(io, all?.resources ?? [], client, flags.namespace)));
    for (const target of names) {
      io.stdout.write(`Deleting: ${target}.\n`);
      try {
        const namespace = selectedNamespace(target, flags.namespace, stack);
        await settleWaitingCalls(io, queue, { function: target, namespace }, waitingCalls);
        const answer = await client.removeFunction(target, namespace);
        if ([200, 201, 202].includes(answer.status)) {
          io.stdout.write("Removing old function.\n");
        } else if (answer.status === 404 && name === undefined) {
          // Of a whole stack, some may never have been deployed.
          io.stdout.write("No existing function to remove\n");
        } else {
          const isMissing = answer.status === 404;
          throw new CliError(isMissing ? `No existing function to remove; ${LIST_SHOWS}` : describeAnswer(answer));
        }
      } catch (error) {
        failures.push(`${target}: ${describeError(error)}`);
      }
    }
    for (const failure of failures) io.stderr.write(`Error: ${failure}\n`);
    if (failures.length > 0) throw new SilentFailure();
  });
}

/** @returns what went wrong */
async function removeDeclared(
  io: Io,
  resources: readonly StackResource[],
  client: GatewayClient,
  namespace: string | undefined,
): Promise<string[]> {
  if (resources.length === 0) return [];
  const { ResourcesClient } = await import("../client/resources-client.ts");
  const failures: string[] = [];
  await removeResources(resources, new ResourcesClient(client), namespace, (title, outcome) => {
    if ("error" in outcome) failures.push(`${title}: ${describeError(outcome.error)}`);
    else io.stdout.write(outcome.found ? `Removed: ${title}\n` : `There is no ${title}\n`);
  });
  return failures;
}

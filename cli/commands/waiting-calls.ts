import { FaasError } from "../../contract/errors.ts";
import { askYesNo, canAsk } from "../ask.ts";
import type { QueueClient } from "../client/queue-client.ts";
import type { Io } from "../io.ts";

/** What is to become of a function's calls that wait when the function goes; `ask` where somebody can be asked. */
export type WaitingCalls = "purge" | "keep" | "ask";

/**
 * Sees to the calls of a function that is about to be removed, and says what it did. Those that are kept end as dead
 * letters when their turn comes, unless the function is there again by then.
 */
export async function settleWaitingCalls(
  io: Io,
  queue: Pick<QueueClient, "status" | "purge">,
  which: { readonly function: string; readonly namespace?: string | undefined },
  waitingCalls: WaitingCalls,
): Promise<void> {
  const { function: name } = which;
  const drop = async () => {
    const count = await unlessAbsent(queue.purge(which));
    if (count > 0) io.stdout.write(`Dropped waiting calls of ${name}: ${count}.\n`);
  };
  if (waitingCalls === "keep") return;
  if (waitingCalls === "purge") {
    await drop();
    return;
  }
  const waiting = await countWaiting(queue, which);
  if (waiting === 0) return;
  const calls = waiting === 1 ? "1 call waits" : `${waiting} calls wait`;
  if (canAsk(io) && (await askYesNo(io, `${calls} for ${name}. Drop them?`))) await drop();
  else io.stdout.write(`${calls} for ${name}, and will be kept. To drop them: faaslane queue purge ${name}\n`);
}

/** @returns 0 where there is no queue: at a gateway of OpenFaaS, or with `queue=none` */
async function unlessAbsent(count: Promise<number>): Promise<number> {
  try {
    return await count;
  } catch (error) {
    if (error instanceof FaasError && (error.kind === "notFound" || error.kind === "notAllowed")) return 0;
    throw error;
  }
}

async function countWaiting(
  queue: Pick<QueueClient, "status">,
  which: { readonly function: string; readonly namespace?: string | undefined },
): Promise<number> {
  try {
    const { functions } = await queue.status(which);
    return functions.reduce((sum, { waiting }) => sum + waiting, 0);
  } catch (error) {
    // No queue, or one that cannot be asked now: the function is to go all the same.
    if (error instanceof FaasError) return 0;
    throw error;
  }
}

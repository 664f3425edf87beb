import { FaasError } from "../../../contract/errors.ts";
import type { Slices } from "../../../kit/slices.ts";
import type { BatchPlace, NewCall, Queue, QueuedCall } from "../../queue/queue.ts";
import { batchLines, memberHeaders } from "../intake/batch.ts";

export const BATCH_ID_HEADER = "X-Batch-Id";
export const BATCH_INDEX_HEADER = "X-Batch-Index";

type Whole = Extract<BatchPlace, { kind: "whole" }>;

/** Members on their way into the queue at a time: enough to share its commits, few enough to leave room for others. */
const PARALLEL = 32;

/** Whether the stored body is that of the batch which was accepted. */
export async function isWholeBatch(
  { body }: Pick<QueuedCall, "body">,
  { size }: Whole,
  slices: Pick<Slices, "turn">,
): Promise<boolean> {
  let lines = 0;
  for (const line of batchLines(body)) {
    if (line) lines++;
    else await slices.turn();
  }
  return lines === size;
}

/**
 * Makes a call of each line. Repeated after a failure it goes on: the queue knows those that it has.
 * @throws {FaasError} as the queue does, and the reason of `signal` when that aborts; some have been published then
 */
export async function publishMembers(
  queue: Pick<Queue, "publish">,
  whole: QueuedCall,
  place: Whole,
  slices: Pick<Slices, "turn">,
  signal: AbortSignal,
): Promise<void> {
  const headers = memberHeaders(whole.headers);
  const lines = batchLines(whole.body);
  let index = 0;
  let failed = false;
  const publishNext = async () => {
    while (!failed) {
      signal.throwIfAborted();
      const next = lines.next();
      if (next.done) return;
      if (!next.value) {
        await slices.turn();
        continue;
      }
      const call = buildMember(whole, place, headers, index++, next.value.line);
      try {
        await queue.publish(call);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL, place.size) }, publishNext));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

function buildMember(
  whole: QueuedCall,
  { size }: Whole,
  headers: NewCall["headers"],
  index: number,
  body: Uint8Array,
): NewCall {
  return {
    callId: whole.callId,
    queue: whole.queue,
    function: whole.function,
    namespace: whole.namespace,
    method: whole.method,
    path: whole.path,
    query: whole.query,
    headers: [
      ...headers,
      ["Content-Type", "application/json"],
      [BATCH_ID_HEADER, whole.id],
      [BATCH_INDEX_HEADER, String(index)],
    ],
    body,
    acceptedAt: whole.acceptedAt,
    ...(whole.notAfter !== undefined && { notAfter: whole.notAfter }),
    batch: { kind: "member", of: whole.id, index, size },
  };
}

/** Whether publishing may go well another time. */
export function isPassing(error: unknown): boolean {
  return error instanceof FaasError && (error.kind === "overloaded" || error.kind === "unavailable");
}

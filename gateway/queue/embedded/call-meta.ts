import { DEFAULT_QUEUE, type NewCall, type QueuedCall } from "../queue.ts";
import type { DeliveredCall } from "./protocol.ts";

type CallMeta = Omit<NewCall, "acceptedAt" | "body" | "requestPrint">;

/** All of a call but time and body as JSON text. */
export function encodeMeta({ acceptedAt: _, body: __, requestPrint: ___, ...meta }: NewCall): string {
  return JSON.stringify(meta);
}

/** @throws {SyntaxError | TypeError} when the stored text is not what {@link encodeMeta} made */
export function decodeDelivered(
  { acceptedAt, refused, meta, body }: Pick<DeliveredCall, "acceptedAt" | "refused" | "meta" | "body">,
  id: string,
): QueuedCall {
  const stored = JSON.parse(meta) as CallMeta;
  if (typeof stored !== "object" || stored === null || typeof stored.function !== "string") {
    throw new TypeError("the stored call names no function");
  }
  // Calls of an earlier release name no queue.
  return {
    ...stored,
    queue: stored.queue ?? DEFAULT_QUEUE,
    callId: stored.callId ?? id,
    id,
    acceptedAt,
    body,
    ...(refused && { refused }),
  };
}

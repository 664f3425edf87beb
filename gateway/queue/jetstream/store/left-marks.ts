import { readMessage } from "../../../nats/stored-message.ts";
import { openSubject, STREAMS } from "../client/names.ts";
import type { Context } from "./context.ts";
import type { MessagePosition } from "./record.ts";

interface Delivered extends MessagePosition {
  readonly deliveries: number;
}

/**
 * Workers of this release leave calls of later ones to their workers, each time a delivery. They are not to be taken for
 * attempts that were cut off, so how many there were is written down.
 */
export async function markLeft({ publisher }: Pick<Context, "publisher">, delivery: Delivered): Promise<void> {
  await publisher.publish(subjectOf(delivery), Buffer.from(String(delivery.deliveries)));
}

/** Deliveries of a message that ended without an attempt, in the hands of who could not read it. */
export async function countLeft({ link }: Pick<Context, "link">, place: MessagePosition): Promise<number> {
  const message = await readMessage(link, STREAMS.open, { last_by_subj: subjectOf(place) });
  const left = Number(message?.data.toString());
  return Number.isSafeInteger(left) ? left : 0;
}

function subjectOf({ stream, seq }: MessagePosition): string {
  return openSubject(`left-${stream}-${seq}`);
}

import type { StoredCall } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import { type CallRecord, isLeftBehind, type MessagePosition } from "../store/record.ts";
import { findMessage } from "./lookup.ts";

/** What is written down of the call of a message. */
export type Past =
  | { readonly kind: "ended"; readonly record: CallRecord }
  /** The call has another message by now; this one is to go. */
  | { readonly kind: "moved" }
  | { readonly kind: "open"; readonly record: CallRecord | undefined };

/** Looks at records in a row that disagree with the messages. */
const MAX_LOOKS = 3;

/**
 * A message that comes again, or took the place of another one, may be of a call that has ended or moved on.
 * @throws {FaasError} `unavailable` when that cannot be told now
 */
export async function lookUpPast(
  context: Context,
  id: string,
  place: MessagePosition,
  stored: StoredCall,
): Promise<Past> {
  // Its call has ended, and is not what it is about.
  if (stored.callback?.again) return { kind: "open", record: undefined };
  const { records } = context;
  for (let look = 1; ; look++) {
    const [finished, open] = await Promise.all([records.findFinished(id), records.findOpen(id)]);
    if (finished) return { kind: "ended", record: finished };
    if (!isLeftBehind(place, stored, open?.location)) return { kind: "open", record: open };
    if (await findMessage(context, id, open)) return { kind: "moved" };
    // It has ended or moved between the two looks. If not, its message was lost, and this one is all there is of it.
    if (look === MAX_LOOKS) return { kind: "open", record: open };
  }
}

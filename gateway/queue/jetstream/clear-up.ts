import type { StoredCall } from "./call-codec.ts";
import { dropMembers } from "./cancel.ts";
import type { Context } from "./context.ts";
import { endMember } from "./member-end.ts";
import { membersOf, STREAMS } from "./names.ts";
import type { CallRecord } from "./record.ts";
import { purgeSubject } from "./stored-message.ts";

export interface EndedCall {
  readonly id: string;
  readonly stored: StoredCall;
  /** Of its end. */
  readonly record: CallRecord;
}

/**
 * Does what is left to do for a call that has ended, but for its message: whoever wrote its end down may have died right
 * after. Repeated, it does no harm.
 * @throws as {@link Publisher.publish}, and when the server does not answer
 */
export async function clearUp(context: Context, { id, stored, record }: EndedCall): Promise<void> {
  const { link, records, bodies } = context;
  const { batch } = stored.call;
  if (batch?.kind === "whole" && record.state === "cancelled") {
    await dropMembers(context, id);
    await purgeSubject(link, STREAMS.members, membersOf(id));
  }
  // Nobody reads what became of the members of a batch that has ended itself.
  if (batch?.kind === "member" && !(await records.findFinished(batch.of))) await endMember(context, batch, record);
  await records.removeOpen(id);
  // That of a dead call is its dead letter's.
  if (record.state !== "dead" && !(stored.body instanceof Uint8Array)) await bodies.remove(stored.body);
}

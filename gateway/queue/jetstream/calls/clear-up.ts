import { purgeSubject } from "../../../nats/stored-message.ts";
import { membersOf, STREAMS } from "../client/names.ts";
import type { StoredCall } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import type { CallRecord } from "../store/record.ts";
import { dropMembers } from "./cancel.ts";
import { endMember } from "./member-end.ts";

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
  const { link, records } = context;
  const { batch } = stored.call;
  if (batch?.kind === "whole" && record.state === "cancelled") {
    await dropMembers(context, id);
    await purgeSubject(link, STREAMS.members, membersOf(id));
  }
  // Nobody reads what became of the members of a batch that has ended itself.
  if (batch?.kind === "member" && !(await records.findFinished(batch.of))) await endMember(context, batch, record);
  await records.removeOpen(id);
  await context.removeBodies(stored, record.state === "dead");
}

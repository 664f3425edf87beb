import { purgeSubject } from "../../../nats/stored-message.ts";
import type { BatchPlace } from "../../queue.ts";
import { endedSubject, memberResultSubject, memberSubjects, STREAMS } from "../client/names.ts";
import { encodeMemberEnd } from "../store/batch-members.ts";
import type { Context } from "../store/context.ts";
import type { CallRecord } from "../store/record.ts";

type Member = Extract<BatchPlace, { kind: "member" }>;

/** Tells the batch what became of a member. @throws as {@link Publisher.publish} does */
export async function endMember(context: Context, { of, index }: Member, record: CallRecord): Promise<void> {
  const { publisher, records, link } = context;
  const { small, result } = encodeMemberEnd(record, publisher.maxBytes);
  if (result) await publisher.publish(memberResultSubject(of, index), result);
  await publisher.publish(endedSubject(of, index), small);
  // Nobody looks for members of a batch that ended before them, being cancelled.
  if (record.state !== "cancelled" || !(await records.findFinished(of))) return;
  await purgeSubject(link, STREAMS.members, memberSubjects(of, index));
}

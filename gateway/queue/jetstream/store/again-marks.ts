import { purgeSubject, readMessage } from "../../../nats/stored-message.ts";
import { openSubject, STREAMS } from "../client/names.ts";
import type { Context } from "./context.ts";
import { isObject } from "./wire-fields.ts";

/** Of a call that has ended: its callback is being sent once more. Without its mark, what is on its way for that is void. */
export interface AgainMark {
  /** Of the message that is to do it; others are of an earlier request. */
  readonly nonce: string;
  readonly tries: number;
  readonly dueAt?: number;
  readonly failure?: string;
}

export async function putAgain({ publisher }: Pick<Context, "publisher">, id: string, mark: AgainMark): Promise<void> {
  await publisher.publish(subjectOf(id), Buffer.from(JSON.stringify(mark)));
}

export async function findAgain({ link }: Pick<Context, "link">, id: string): Promise<AgainMark | undefined> {
  const message = await readMessage(link, STREAMS.open, { last_by_subj: subjectOf(id) });
  return message && parseMark(message.data.toString());
}

export async function removeAgain({ link }: Pick<Context, "link">, id: string): Promise<void> {
  await purgeSubject(link, STREAMS.open, subjectOf(id));
}

/** One that cannot be read is as none. */
function parseMark(text: string): AgainMark | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value)) return undefined;
    const { nonce, tries, dueAt, failure } = value;
    if (typeof nonce !== "string" || typeof tries !== "number") return undefined;
    return {
      nonce,
      tries,
      ...(typeof dueAt === "number" && { dueAt }),
      ...(typeof failure === "string" && { failure }),
    };
  } catch {
    return undefined;
  }
}

function subjectOf(id: string): string {
  return openSubject(`${id}-again`);
}

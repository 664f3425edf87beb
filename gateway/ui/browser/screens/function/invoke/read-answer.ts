/** More of an answer is not read. */
export const MAX_ANSWER_BYTES = 1024 ** 2;

export interface AnswerBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** There was more of it. */
  readonly isCut: boolean;
}

/** The beginning of an answer; what follows is not waited for. */
export async function readSome(answer: Pick<Response, "body">): Promise<AnswerBody> {
  const reader = answer.body?.getReader();
  const pieces: Uint8Array[] = [];
  let size = 0;
  let isCut = false;
  while (reader) {
    const { value, done } = await reader.read();
    if (done) break;
    const room = MAX_ANSWER_BYTES - size;
    pieces.push(value.length > room ? value.subarray(0, room) : value);
    size += Math.min(value.length, room);
    if (value.length > room) {
      isCut = true;
      await reader.cancel().catch(() => undefined);
      break;
    }
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { bytes, isCut };
}

/** As text; undefined when it is none. A character that was cut at the end is left out. */
export function textOf({ bytes, isCut }: AnswerBody): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: isCut });
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}

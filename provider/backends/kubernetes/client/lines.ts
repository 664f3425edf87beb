import { StringDecoder } from "node:string_decoder";

/**
 * Lines of a stream of bytes, without their ends. What is after the last end comes too unless `whole` is set.
 * @param limitChars longer lines are cut
 */
export async function* readLines(
  stream: AsyncIterable<Buffer>,
  { limitChars, whole }: { readonly limitChars: number; readonly whole: boolean },
): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let parts: string[] = [];
  let length = 0;
  const keep = (text: string) => {
    const room = text.slice(0, Math.max(0, limitChars - length));
    if (room !== "") parts.push(room);
    length += room.length;
  };
  const take = () => {
    const line = parts.join("");
    parts = [];
    length = 0;
    return line;
  };
  for await (const chunk of stream) {
    const pieces = decoder.write(chunk).split("\n");
    const rest = pieces.pop() as string;
    for (const piece of pieces) {
      keep(piece);
      yield take();
    }
    keep(rest);
  }
  if (!whole && length > 0) yield take();
}

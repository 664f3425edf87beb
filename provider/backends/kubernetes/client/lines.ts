import { LineCutter } from "../../../../kit/line-cutter.ts";

/**
 * Lines of a stream of bytes, without their ends. What is after the last end comes too unless `whole` is set.
 * @param limitChars longer lines are cut
 */
export async function* readLines(
  stream: AsyncIterable<Buffer>,
  { limitChars, whole }: { readonly limitChars: number; readonly whole: boolean },
): AsyncGenerator<string> {
  const lines = new LineCutter(limitChars, "cut");
  for await (const chunk of stream) yield* lines.push(chunk);
  if (!whole && lines.rest !== "") yield lines.rest;
}

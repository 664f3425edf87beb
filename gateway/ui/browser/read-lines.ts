/** Longer than any line that is worth reading. */
const MAX_REST_CHARS = 2 * 1024 ** 2;

/** Lines of an answer, as they come, without their ends. A line that does not end is given in pieces. */
export async function* readLines(answer: Pick<Response, "body">): AsyncGenerator<string> {
  if (!answer.body) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > MAX_REST_CHARS) {
      yield rest;
      rest = "";
    }
  }
  if (rest !== "") yield rest;
}

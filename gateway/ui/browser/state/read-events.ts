export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** Longer than any that a gateway sends. */
const MAX_EVENT_CHARS = 64 * 1024 ** 2;

/**
 * The events of a stream, as they come. It is read by `fetch`, which can send a header with the session's token.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* readEvents(answer: Pick<Response, "body">): AsyncGenerator<ServerEvent> {
  if (!answer.body) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > MAX_EVENT_CHARS) throw new Error("an event is too long");
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) yield parseEvent(block);
  }
}

function parseEvent(block: string): ServerEvent {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return { name: data.length === 0 && name === "message" ? "heartbeat" : name, data: data.join("\n") };
}

import type { Duplex } from "node:stream";

/** Puts Node's channel between processes on descriptor 3 of a child: what it sends there is JSON, one message a line. */
export const CHANNEL_ENVIRONMENT = { NODE_CHANNEL_FD: "3" } as const;

/** Longest message; ours are much shorter. */
const MAX_CHARS = 4_096;

/** Our end of a child's channel. */
export interface Channel {
  send(message: object): void;
  close(): void;
}

/**
 * Speaks Node's protocol by hand: Node itself takes in whatever a child sends, whether or not it ever ends, and a function
 * may write there too.
 * @param onMessage gets each message; true ends the reading, and what else is sent stays with the child
 */
export function openChannel(stream: Duplex, onMessage: (message: unknown) => boolean): Channel {
  let rest = "";
  const read = (chunk: Buffer) => {
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    // A child that begins like that has no more to say that could be understood.
    const isOver = rest.length > MAX_CHARS || lines.some((line) => line.length <= MAX_CHARS && onMessage(parse(line)));
    if (!isOver) return;
    rest = "";
    stream.off("data", read);
    stream.pause();
  };
  stream.on("data", read);
  // The other side may have closed it; the end of the process shows elsewhere.
  stream.on("error", () => {});
  return {
    send: (message) => void stream.write(`${JSON.stringify(message)}\n`),
    close: () => void stream.destroy(),
  };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

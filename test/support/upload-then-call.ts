import { connect } from "node:net";

export interface TwoCalls {
  /** Status lines of all final answers, in order. */
  readonly statuses: readonly number[];
  readonly text: string;
  readonly tookMs: number;
}

/**
 * Sends an upload and a second call behind it on one connection, and reads until the other side closes, as it has to after
 * the second answer at the latest.
 */
export async function uploadThenCall(port: number, path: string, bytes: number, timeoutMs = 8_000): Promise<TwoCalls> {
  const startedAt = performance.now();
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  let text = "";
  socket.on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => {}); // it may be closed while it is still written to
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${bytes}\r\n\r\n`);
  socket.write(Buffer.alloc(bytes, "x"));
  socket.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  await closed;
  clearTimeout(timer);
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  return { statuses, text, tookMs: performance.now() - startedAt };
}

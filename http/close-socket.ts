import type { Duplex } from "node:stream";

/** Time for the other side to read the last answer, and to close. */
const GOODBYE_MS = 1_000;

/** Those that have been closed; a server may find several reasons to. */
const closing = new WeakSet<Duplex>();

/**
 * Closes a connection for good, whatever the other side does. For all that leave an HTTP server by another way than the
 * end of an answer: tunnels, upgrades, what is not HTTP, what takes too long.
 * @param lastWords a whole answer; sent if it still can be
 */
export function closeSocket(socket: Duplex, lastWords?: string): void {
  // The server has taken its listeners off; without one a reset would end the process.
  if (!closing.has(socket)) socket.on("error", ignore);
  closing.add(socket);
  if (lastWords === undefined || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), GOODBYE_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.end(lastWords);
  // Closing over unread bytes resets the connection, and the last words would be lost.
  socket.resume();
}

function ignore(): void {}

/** A whole answer with `text` as its body, after which the connection ends. */
export function closingAnswer(status: number, reason: string, text = `${status} ${reason}`): string {
  const body = text === "" ? "" : `${text}\n`;
  const type = body === "" ? "" : "Content-Type: text/plain; charset=utf-8\r\n";
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return `HTTP/1.1 ${status} ${reason}\r\n${type}${length}Connection: close\r\n\r\n${body}`;
}

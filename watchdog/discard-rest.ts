import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** How much of a request, and how long, is still read after its answer, so that its connection can be used again. */
const LIMIT_BYTES = 1024 * 1024;
const LIMIT_MS = 1000;
/** Time for the answer to reach a caller that still sends. */
const LINGER_MS = 500;
const LOOK_AGAIN_MS = 50;

/**
 * Keeps Node from closing a connection over a request that is still coming in, as it does after an answer that says
 * `Connection: close`: that resets the connection, and the caller may lose the answer. `discardRest` closes it.
 */
export function postponeClosing(socket: Socket): void {
  socket.destroySoon = endOnly;
}

function endOnly(this: Socket): void {
  this.end();
}

/**
 * Reads what is still coming of a request that has been answered; nobody else is going to. Its connection serves the next
 * one after that, and is closed when there is too much of it.
 */
export function discardRest(req: IncomingMessage): void {
  const { socket } = req;
  if (socket.destroyed) return;
  const bytesBefore = socket.bytesRead;
  const answeredAt = performance.now();
  const timer = setInterval(() => {
    const waitedMs = performance.now() - answeredAt;
    if (req.complete || socket.destroyed) {
      clearInterval(timer);
      Reflect.deleteProperty(socket, "destroySoon");
      if (socket.writableEnded) socket.destroy();
    } else if (waitedMs > LIMIT_MS + LINGER_MS) {
      socket.destroy();
    } else if (waitedMs > LIMIT_MS || socket.bytesRead - bytesBefore > LIMIT_BYTES) {
      socket.end();
    }
  }, LOOK_AGAIN_MS);
  req.resume();
}

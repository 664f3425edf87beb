import type { IncomingMessage, ServerResponse } from "node:http";

/**
 * How long a body is held back of which nobody has said that it is wanted: not every server knows `Expect`.
 * @see RFC 9110 §10.1.1
 */
export const CONTINUE_PATIENCE_MS = 1_000;

/** Whether the sender of a request waits for leave to send its body. */
export function waitsForLeave({ headers, httpVersionMinor }: Pick<IncomingMessage, "headers" | "httpVersionMinor">) {
  return headers.expect !== undefined && httpVersionMinor > 0;
}

/**
 * Lets the sender of a request send its body when somebody begins to read it, and not before. An answer that comes first
 * ends the connection, as the body may follow it or not.
 * @param mayKeep whether the connection may be used again after a body that was wanted
 */
export function leaveToReader(req: IncomingMessage, res: ServerResponse, mayKeep: () => boolean): void {
  const kept = res.shouldKeepAlive;
  res.shouldKeepAlive = false;
  const reading = req as { _read: (size: number) => void };
  const read = reading._read;
  reading._read = (size) => {
    reading._read = read;
    if (!res.headersSent && !res.destroyed) {
      res.writeContinue();
      res.shouldKeepAlive = kept && mayKeep();
    }
    read.call(req, size);
  };
}

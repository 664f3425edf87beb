import type { Server } from "node:net";

/** A server that gets connections all the time is closed all the same. */
const LIMIT_MS = 1_000;
/** While a request is looked at others may come, so only a turn without one says that nothing waits. */
const NEWS = ["connection", "request"];

/**
 * Takes the connections that the system has made already, so that `server` can be closed at once when this resolves. Those
 * that are left when it closes are reset, though their callers may have sent a request, and Node accepts but one in each
 * turn of its loop.
 */
export async function acceptWaiting(server: Server): Promise<void> {
  const until = performance.now() + LIMIT_MS;
  let quietTurns = 0;
  const onNews = () => {
    quietTurns = 0;
  };
  for (const event of NEWS) server.on(event, onNews);
  // The first turn may be over but for its end, and asks the system for nothing any more.
  while (quietTurns < 2 && performance.now() < until) {
    quietTurns++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const event of NEWS) server.off(event, onNews);
}

import type { Agent } from "node:http";
import { request } from "../../../../kit/http.ts";

export interface Question {
  /** `host:port`. */
  readonly address: string;
  readonly path: string;
  readonly timeoutMs: number;
  /** Keeps the connection for the next question; false closes it. */
  readonly agent: Agent | false;
}

/** A timer that rings so late was held up by this process itself, and an answer may have come meanwhile. */
const HELD_UP_MS = 250;

/** Failures that are not the replica's. */
const OUR_OWN: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]);

/**
 * Asks a replica over HTTP.
 * @returns the status of its answer, 0 when there is none, undefined when that cannot be told
 */
export function ask({ address, path, timeoutMs, agent }: Question, signal: AbortSignal): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const askedAt = performance.now();
  const req = request(
    `http://${address}`,
    { path, agent, signal, headers: { "User-Agent": "faaslane-probe" } },
    (res) => {
      resolve(res.statusCode ?? 0);
      // The timer goes on: a body without an end would keep the connection.
      res
        .on("error", () => {})
        .on("close", () => clearTimeout(timer))
        .resume();
    },
  );
  const timer = setTimeout(() => {
    const heldUp = performance.now() - askedAt > timeoutMs + HELD_UP_MS;
    resolve(heldUp ? undefined : 0);
    req.destroy();
  }, timeoutMs);
  req.on("error", ({ code = "" }: NodeJS.ErrnoException) => {
    clearTimeout(timer);
    // A kept connection may have been closed by the other side just now.
    resolve(req.reusedSocket || OUR_OWN.has(code) ? undefined : 0);
  });
  req.end();
  return promise;
}

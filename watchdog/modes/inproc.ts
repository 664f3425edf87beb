import type { IncomingMessage, ServerResponse } from "node:http";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../../http/platform-mark.ts";
import type { Deadlines } from "../deadlines.ts";
import { describeThrown } from "../describe-thrown.ts";
import type { TrackedResponse } from "../tracked-response.ts";
import type { Mode } from "./mode.ts";

/** What a handler module exports by default. */
export type RequestListener = (req: IncomingMessage, res: ServerResponse) => unknown;

export interface InprocDeps {
  readonly deadlines: Deadlines;
  readonly print: (message: string) => void;
  /** Time limit of one call, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Loads a handler module.
 * @param path relative to the working directory
 * @throws when it cannot be loaded, or its default export is no function
 */
export async function loadHandler(path: string): Promise<RequestListener> {
  const loaded: { default?: unknown } = await import(pathToFileURL(resolve(path)).href);
  // A CommonJS module written by a transpiler carries its default export one level down.
  const exported = loaded.default as { default?: unknown } | undefined;
  const handler = typeof exported === "function" ? exported : exported?.default;
  if (typeof handler !== "function") throw new Error(`${path}: the default export must be a function (req, res)`);
  return handler as RequestListener;
}

/** The function's handler runs in the watchdog's own process: no hop, one process per replica. */
export function openInproc(handler: RequestListener, { deadlines, print, timeoutMs }: InprocDeps): Mode {
  const onExpire = (res: TrackedResponse): void => {
    if (res.writableEnded) return;
    print(`Handler exceeded its time limit: ${timeoutMs}ms`);
    if (res.headersSent) {
      // Ending in good order would pass the part for the whole.
      silence(res);
      res.destroy();
      return;
    }
    res.takeOver();
    res.writeHead(504, {
      "X-Duration-Seconds": res.durationSeconds(),
      [INTERNAL_HEADER]: INTERNAL_WATCHDOG,
      "Content-Length": 0,
    });
    res.end();
    silence(res);
  };

  const fail = (res: TrackedResponse, thrown: unknown): void => {
    print(`Handler failed: ${describeThrown(thrown)}`);
    if (res.writableEnded) return;
    if (res.headersSent) {
      silence(res);
      res.destroy();
      return;
    }
    res.takeOver();
    res.writeHead(500, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": FAILED.length });
    res.end(FAILED);
    silence(res);
  };

  // What is written after an answer's end is raised here; without a listener it would end the process.
  const onError = (error: Error): void => print(`Handler's answer: ${describeThrown(error)}`);

  return {
    ready: true,
    whenReady: () => Promise.resolve(),
    handle(req, res) {
      if (timeoutMs > 0) {
        res.onExpire = onExpire;
        deadlines.start(res, timeoutMs, res.startedAt);
      }
      res.byFunction = true;
      res.onUnheard = onError;
      try {
        const pending = handler(req, res);
        if (isThenable(pending)) pending.then(undefined, (thrown: unknown) => fail(res, thrown));
      } catch (thrown) {
        fail(res, thrown);
      }
    },
    close: () => Promise.resolve(),
    kill: () => {},
  };
}

const FAILED = "Internal Server Error\n";

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/**
 * The handler may still be working when its answer has been made for it. What it writes then must go nowhere: Node would
 * raise it as an error outside any request and end the process, with every other call in it.
 */
function silence(res: TrackedResponse): void {
  const inert = function (this: ServerResponse): ServerResponse {
    return this;
  };
  const refuse = () => false;
  const replacements = {
    setHeader: inert,
    setHeaders: inert,
    appendHeader: inert,
    removeHeader: inert,
    writeHead: inert,
    flushHeaders: inert,
    write: refuse,
    end: inert,
  };
  Object.assign(res, replacements);
}

import type { IncomingMessage } from "node:http";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../../../http/platform-mark.ts";
import type { ProcessEnd } from "../../child.ts";
import type { Deadlines } from "../../deadlines.ts";
import type { Log } from "../../log.ts";
import type { TrackedResponse } from "../../tracked-response.ts";
import { buildCgiVariables, type CgiStyle, UnrepresentableError } from "./cgi.ts";
import type { Launcher, Run } from "./launch.ts";

/** What every way to fork a process per call needs. */
export interface ForkDeps {
  readonly log: Log;
  readonly deadlines: Deadlines;
  readonly launcher: Pick<Launcher, "launch">;
  /** Time limit of the process, 0 for none; and of the answer. Milliseconds. */
  readonly execTimeoutMs: number;
  readonly writeTimeoutMs: number;
  /** Largest request, and largest answer, held in memory. */
  readonly maxBodyBytes: number;
}

/**
 * Watches the time of a call. The process has one limit and its answer another; when the answer's ends first, the caller is
 * told and the process goes on, as its owner allowed it more.
 * @param onExecTimeout must end the process
 */
export function watchTime(res: TrackedResponse, deps: ForkDeps, onExecTimeout: () => void): void {
  const { execTimeoutMs, writeTimeoutMs, deadlines, log } = deps;
  const giveUpAnswering = () => {
    log.print(`No answer within write_timeout (${writeTimeoutMs}ms)`);
    failUnanswered(res);
    if (execTimeoutMs === 0) return;
    res.onExpire = onExecTimeout;
    deadlines.start(res, execTimeoutMs - writeTimeoutMs, performance.now());
  };
  const processFirst = execTimeoutMs > 0 && execTimeoutMs <= writeTimeoutMs;
  res.onExpire = processFirst ? onExecTimeout : giveUpAnswering;
  deadlines.start(res, processFirst ? execTimeoutMs : writeTimeoutMs, res.startedAt);
}

/** 504, or a cut connection where an answer had begun: ending it in good order would pass the part for the whole. */
export function failUnanswered(res: TrackedResponse): void {
  if (res.writableEnded) return;
  if (res.headersSent) res.destroy();
  else answer(res, 504, { [INTERNAL_HEADER]: INTERNAL_WATCHDOG }, "");
}

/** Sends a whole answer; does nothing when the caller has left or was answered before. */
export function answer(
  res: TrackedResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
): void {
  if (res.headersSent || res.destroyed) return;
  res.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body) });
  res.end(body);
}

/** Kills a process that nobody waits for any more, as soon as it has started. */
export function abandon(launched: Promise<Run>): void {
  launched.then(
    (run) => run.kill(),
    () => {}, // never started; its caller has seen why
  );
}

/** The request's headers did not fit into an environment, whose size the system limits. */
export function isTooLargeToPass(end: ProcessEnd): boolean {
  return end.kind === "unstarted" && end.error.code === "E2BIG";
}

/** The variables for a call, or undefined when the request was answered with the reason why there are none. */
export function buildCallVariables(
  req: IncomingMessage,
  res: TrackedResponse,
  style: CgiStyle,
): Record<string, string> | undefined {
  try {
    return buildCgiVariables(req, style);
  } catch (error) {
    if (!(error instanceof UnrepresentableError)) throw error;
    answer(res, 400, TEXT, `${error.message}\n`);
    return undefined;
  }
}

export const TEXT = { "Content-Type": "text/plain; charset=utf-8" } as const;

export const OUTPUT_TOO_LARGE = "The function printed more than max_body_bytes";

export const HEADERS_TOO_LARGE = "The request's headers are too large to be passed to the function";

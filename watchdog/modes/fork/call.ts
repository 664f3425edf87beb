import type { IncomingMessage } from "node:http";
import type { Command } from "../../config.ts";
import type { Deadlines } from "../../deadlines.ts";
import type { Env } from "../../env.ts";
import type { Exchange } from "../../exchange.ts";
import type { Log } from "../../log.ts";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../mode.ts";
import { buildCgiVariables, type CgiStyle, UnrepresentableError } from "./cgi.ts";
import type { Run } from "./run.ts";

/** What every way to fork a process per call needs. */
export interface ForkDeps {
  readonly env: Env;
  readonly log: Log;
  readonly deadlines: Deadlines;
  /** Time limit of the process, 0 for none; and of the answer. Milliseconds. */
  readonly execTimeoutMs: number;
  readonly writeTimeoutMs: number;
  /** Largest request, and largest answer, held in memory. */
  readonly maxBodyBytes: number;
  /** Starts a process and remembers it until it has ended. */
  readonly start: (command: Command, env: Env) => Run;
}

/**
 * Watches the time of a call. The process has one limit and its answer another; when the answer's ends first, the caller is
 * told and the process goes on, as its owner allowed it more.
 */
export function watchTime(res: Exchange, run: Run, deps: ForkDeps, onTimeout: () => void): void {
  const { execTimeoutMs, writeTimeoutMs, deadlines, log } = deps;
  const stop = () => {
    onTimeout();
    run.kill();
  };
  const giveUpAnswering = () => {
    log.print(`No answer within write_timeout (${writeTimeoutMs}ms)`);
    failUnanswered(res);
    if (execTimeoutMs > 0) {
      res.onExpire = stop;
      deadlines.start(res, execTimeoutMs - writeTimeoutMs, performance.now());
    }
  };
  const processFirst = execTimeoutMs > 0 && execTimeoutMs <= writeTimeoutMs;
  res.onExpire = processFirst ? stop : giveUpAnswering;
  deadlines.start(res, processFirst ? execTimeoutMs : writeTimeoutMs, res.startedAt);
}

/** 504, or a cut connection where an answer had begun: ending it in good order would pass the part for the whole. */
export function failUnanswered(res: Exchange): void {
  if (res.writableEnded) return;
  if (res.headersSent) res.destroy();
  else answer(res, 504, { [INTERNAL_HEADER]: INTERNAL_WATCHDOG }, "");
}

/** Sends a whole answer; does nothing when the caller has left or was answered before. */
export function answer(
  res: Exchange,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
): void {
  if (res.headersSent || res.destroyed) return;
  res.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body) });
  res.end(body);
}

/** The environment for a call, or undefined when the request was answered with the reason why there is none. */
export function buildCallEnv(req: IncomingMessage, res: Exchange, style: CgiStyle, env: Env): Env | undefined {
  try {
    return { ...env, ...buildCgiVariables(req, style) };
  } catch (error) {
    if (!(error instanceof UnrepresentableError)) throw error;
    answer(res, 400, TEXT, `${error.message}\n`);
    return undefined;
  }
}

export const TEXT = { "Content-Type": "text/plain; charset=utf-8" } as const;

export const OUTPUT_TOO_LARGE = "The function printed more than max_body_bytes";

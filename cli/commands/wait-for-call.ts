import type { IncomingMessage } from "node:http";
import { type CallReport, decodeCallReport } from "../../contract/calls.ts";
import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { sleep } from "../../kit/sleep.ts";
import { answeredCode, GatewayError } from "../client/gateway-error.ts";
import { readText } from "../client/read-body.ts";
import { explainNetworkError, type Transport } from "../client/transport.ts";
import { CliError } from "../errors.ts";

export interface WaitOptions {
  readonly send: Transport;
  /** Of the gateway, for messages. */
  readonly url: string;
  /** Path of the call's status. */
  readonly path: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Longest wait in milliseconds; 0 for none. */
  readonly timeoutMs: number;
}

const ONE_WAIT_MS = 30_000;
/** A gateway that restarts is back by then, and the call with it. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 500;
const STATUS_LIMIT_BYTES = 1024 * 1024;

/**
 * Waits until a call has ended.
 * @throws {CliError} when it has ended without success, or not in time
 * @throws {FaasError} when the gateway does not know it, or stays away
 */
export async function waitForCall(options: WaitOptions): Promise<CallReport> {
  const { timeoutMs, path } = options;
  const deadline = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY;
  let silentSince: number | undefined;
  for (;;) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0)
      throw new CliError(`the call did not end within ${timeoutMs / 1000} s and is still running: ${idOf(path)}`);
    try {
      const call = await look(options, Math.min(leftMs, ONE_WAIT_MS));
      silentSince = undefined;
      if (call.state === "done") return call;
      if (call.state !== "waiting" && call.state !== "running") throw new CliError(describeEnd(call));
    } catch (error) {
      if (!mayPass(error)) throw error;
      silentSince ??= performance.now();
      if (performance.now() - silentSince > PATIENCE_MS) throw error;
      await sleep(Math.min(PAUSE_MS, Math.max(0, deadline - performance.now())));
    }
  }
}

/** The function's own answer, or undefined when it is not kept. The caller reads or destroys the body. */
export async function fetchResult({ send, path, headers }: WaitOptions): Promise<IncomingMessage | undefined> {
  const response = await send({ method: "GET", path: `${path}/result`, headers, idleMs: ONE_WAIT_MS });
  if (response.headers["x-call-state"] === "done") return response;
  response.destroy();
  return undefined;
}

async function look({ send, url, path, headers }: WaitOptions, waitMs: number): Promise<CallReport> {
  const response = await send({
    method: "GET",
    path: `${path}?wait=${Math.ceil(waitMs)}ms`,
    headers,
    timeoutMs: waitMs + ONE_WAIT_MS,
  });
  const status = response.statusCode ?? 0;
  let text: string;
  try {
    text = await readText(response, STATUS_LIMIT_BYTES);
  } catch (error) {
    throw explainNetworkError(url, error);
  }
  if (status !== 200) {
    throw new GatewayError(status, answeredCode(response.headers), text.trim() || `the gateway answered ${status}`);
  }
  return decodeCallReport(parseJson(text, "call status"));
}

function mayPass(error: unknown): boolean {
  return error instanceof FaasError && ["unavailable", "overloaded", "timeout", "upstream"].includes(error.kind);
}

function describeEnd({ id, state, reason, attempts, status }: CallReport): string {
  const last = status === undefined ? "" : `, last status ${status}`;
  const why = reason === undefined ? "" : `: ${reason}`;
  return `the call is ${state} after ${attempts} attempts${last}${why} (${id})`;
}

function idOf(path: string): string {
  return decodeURIComponent(path.slice(path.lastIndexOf("/") + 1));
}

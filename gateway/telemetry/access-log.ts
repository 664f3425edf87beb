import { STARTUP_PHASES } from "../../contract/endpoints.ts";
import type { ObservedCall } from "./call-record.ts";
import { MAX_CALL_ID_CHARS, MAX_PATH_CHARS } from "./call-spans.ts";
import { WallClock } from "./span.ts";
import { readTraceContext } from "./trace-context.ts";

/** Where the lines go. */
export interface LineOutput {
  /** Takes whole lines, without ever waiting. @returns whether it had room */
  offer(lines: string): boolean;
}

export interface AccessLogOptions {
  readonly output: LineOutput;
  /** Told when lines begin to be lost; not again within a minute. */
  readonly onLoss: () => void;
}

/** Lines wait for others for so long, so that many are written at once. */
const GATHER_MS = 100;
/** And no longer once they are as many characters. */
const GATHER_CHARS = 32 * 1024;
const COMPLAIN_EVERY_MS = 60_000;

/** Writes a line for each call. What its reader is too slow for is lost and counted: no call waits, and no memory is used. */
export class AccessLog {
  /** Lines that were lost. */
  dropped = 0;
  readonly #output: LineOutput;
  readonly #onLoss: () => void;
  readonly #clock = new WallClock();
  #text = "";
  #lines = 0;
  #timer: NodeJS.Timeout | undefined;
  #complainedAt = Number.NEGATIVE_INFINITY;

  constructor({ output, onLoss }: AccessLogOptions) {
    this.#output = output;
    this.#onLoss = onLoss;
  }

  /** @param record has ended */
  add(record: ObservedCall): void {
    this.#text += buildAccessLine(record, this.#clock);
    this.#lines++;
    if (this.#text.length >= GATHER_CHARS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  /** Hands on what has been gathered. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines === 0) return;
    const taken = this.#output.offer(this.#text);
    if (!taken) this.#lose(this.#lines);
    this.#text = "";
    this.#lines = 0;
  }

  #lose(lines: number): void {
    this.dropped += lines;
    const now = performance.now();
    if (now - this.#complainedAt < COMPLAIN_EVERY_MS) return;
    this.#complainedAt = now;
    this.#onLoss();
  }
}

/** A call that has ended, as one line of JSON. Nothing of its query, its headers or its body is in it. */
export function buildAccessLine(record: ObservedCall, clock: WallClock): string {
  const { arrivedAt, heldAt, sentAt, firstByteAt, endedAt = arrivedAt } = record;
  const since = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? undefined : milliseconds(to - from);
  const { status, errorCode } = record;
  const line = {
    level: "info",
    time: new Date(clock.of(arrivedAt)).toISOString(),
    msg: "call",
    kind: record.kind,
    callId: record.callId?.slice(0, MAX_CALL_ID_CHARS),
    function: record.functionName,
    version: record.functionVersion,
    method: record.method.slice(0, 32),
    path: record.path.slice(0, MAX_PATH_CHARS),
    status,
    ...(errorCode !== undefined && { error: errorCode }),
    ...(record.broken && { broken: true }),
    bytesIn: record.bytesIn,
    bytesOut: record.bytesOut,
    durationMs: milliseconds(endedAt - arrivedAt),
    waitMs: since(heldAt, sentAt ?? endedAt),
    firstByteMs: since(sentAt, firstByteAt),
    bodyMs: since(firstByteAt, endedAt),
    ...(heldAt !== undefined && { cold: record.cold, ...(record.startup && { startup: startupOf(record.startup) }) }),
    replica: record.replica,
    ...(record.attempts > 1 && { attempts: record.attempts }),
    client: record.client,
    traceId: record.trace?.traceId ?? readTraceContext(record.traceparent, undefined)?.traceId,
  };
  return `${JSON.stringify(line)}\n`;
}

function milliseconds(ms: number): number {
  return Math.round(Math.max(0, ms) * 1000) / 1000;
}

function startupOf(startup: NonNullable<ObservedCall["startup"]>): Record<string, number | undefined> {
  return Object.fromEntries(STARTUP_PHASES.map((phase) => [phase, startup[phase]]));
}

import type { CallPreset } from "../../../contract/ui/series.ts";
import { type CallChoice, type CallMarks, LeftOut, type SlowFrom } from "../../telemetry/call-choice.ts";
import type { ObservedCall } from "../../telemetry/call-record.ts";
import type { CallKeeper } from "../../telemetry/call-watch.ts";
import { WallClock } from "../../telemetry/span.ts";
import { type KeptCall, MAX_ID_CHARS } from "./call-rows.ts";
import { boundHeaders } from "./kept-headers.ts";

/** `asked`: while somebody looks, and an hour after. */
export const CALL_LOG_MODES = ["asked", "always", "never"] as const;
export type CallLogMode = (typeof CALL_LOG_MODES)[number];

export interface CallLogOptions {
  readonly mode: Exclude<CallLogMode, "never">;
  /** Shared with nobody. */
  readonly choice: CallChoice;
  /** By the monotonic clock, as calls are. */
  readonly now?: () => number;
  /** Of all kept calls, roughly. Default 16 MiB. */
  readonly maxBytes?: number;
}

export interface KeptCallPage {
  readonly preset: CallPreset;
  /** Milliseconds since the epoch: older ones only. */
  readonly before: number | undefined;
  readonly limit: number;
}

const LOOKS_FOR_MS = 3600_000;
/** Of each kind of a function's calls, so that many ordinary ones push out no error. */
const MOST = 100;
const MAX_BYTES = 16 * 1024 ** 2;
/** Of one without its headers. */
const CALL_BYTES = 700;

type Kind = "error" | "cold" | "slow" | "ordinary";
type Kinds = Record<Kind, KeptCall[]>;

/** The latest calls of each function. Kept only while somebody looks: what nobody reads costs nothing. */
export class CallLog implements CallKeeper {
  /** Milliseconds since the epoch since when calls are kept. */
  since = 0;
  readonly #options: CallLogOptions;
  readonly #clock = new WallClock();
  readonly #functions = new Map<string, Kinds>();
  readonly #leftOut = new LeftOut();
  readonly #byId = new Map<string, KeptCall>();
  #askedAt = Number.NEGATIVE_INFINITY;
  #bytes = 0;

  constructor(options: CallLogOptions) {
    this.#options = options;
    if (options.mode === "always") this.#turn(true);
  }

  get on(): boolean {
    return this.#options.choice.on;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** What is kept takes, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Somebody looks. */
  ask(): void {
    this.#askedAt = this.#now();
    if (!this.on) this.#turn(true);
  }

  /**
   * To be called every few seconds.
   * @param exists whether there is a function still, whose calls are forgotten else
   */
  look(slowFrom: SlowFrom, exists: (name: string) => boolean): void {
    const { choice, mode } = this.#options;
    if (!this.on) return;
    if (mode === "asked" && this.#now() - this.#askedAt > LOOKS_FOR_MS) this.#turn(false);
    else choice.learn(true, slowFrom);
    for (const [name, kinds] of this.#functions) if (!exists(name)) this.#forget(name, kinds);
  }

  #turn(on: boolean): void {
    this.#options.choice.learn(on, new Map());
    this.since = this.#clock.of(this.#now());
    this.#functions.clear();
    this.#leftOut.take();
    this.#byId.clear();
    this.#bytes = 0;
  }

  #forget(name: string, kinds: Kinds): void {
    this.#functions.delete(name);
    this.#leftOut.forget(name);
    for (const calls of Object.values(kinds)) for (const call of calls) this.#drop(call);
  }

  add(record: ObservedCall): void {
    const marks = this.#options.choice.judge(record);
    if (!marks || record.functionName === undefined) return;
    if (marks === "tooMany") {
      this.#leftOut.add(record.functionName);
      return;
    }
    let kinds = this.#functions.get(record.functionName);
    if (!kinds) {
      kinds = { error: [], cold: [], slow: [], ordinary: [] };
      this.#functions.set(record.functionName, kinds);
    }
    const call = this.#keep(record, marks);
    const calls = kinds[kindOf(marks)];
    calls.push(call);
    if (calls.length > MOST) this.#drop(calls.shift() as KeptCall);
    if (this.#bytes > (this.#options.maxBytes ?? MAX_BYTES)) this.#shed();
  }

  /** Other threads have not told of so many calls, as too many came. */
  leaveOut(counts: ReadonlyMap<string, number>): void {
    for (const [name, count] of counts) this.#leftOut.add(name, count);
  }

  /** Calls of a function that were not kept since others are, as too many came at once. */
  leftOut(name: string): number {
    return this.#leftOut.of(name);
  }

  #keep(record: ObservedCall, marks: CallMarks): KeptCall {
    const request = boundHeaders(record.requestHeaders);
    const answer = record.answerHeaders && boundHeaders(record.answerHeaders);
    const bytes = CALL_BYTES + record.path.length + request.chars + (answer?.chars ?? 0);
    const call: KeptCall = {
      id: this.#idOf(record),
      at: this.#clock.of(record.arrivedAt),
      marks,
      record,
      bytes,
      requestHeaders: request.headers,
      answerHeaders: answer?.headers,
    };
    // Large ones are not kept by what they came in.
    record.requestHeaders = NONE;
    record.answerHeaders = undefined;
    this.#byId.set(call.id, call);
    this.#bytes += bytes;
    return call;
  }

  /** The call's own, which callers may give to several. */
  #idOf({ callId = "" }: ObservedCall): string {
    const own = callId.slice(0, MAX_ID_CHARS);
    if (own !== "" && !this.#byId.has(own)) return own;
    let number = 2;
    while (this.#byId.has(`${own}~${number}`)) number++;
    return `${own}~${number}`;
  }

  #drop(call: KeptCall): void {
    this.#byId.delete(call.id);
    this.#bytes -= call.bytes;
  }

  /** Lets go of a part of everything, the oldest first, so that it is not to be done for each call. */
  #shed(): void {
    for (const [name, kinds] of this.#functions) {
      for (const calls of Object.values(kinds)) {
        for (const call of calls.splice(0, Math.ceil(calls.length / 4))) this.#drop(call);
      }
      if (Object.values(kinds).every((calls) => calls.length === 0)) this.#functions.delete(name);
    }
  }

  find(id: string): KeptCall | undefined {
    return this.#byId.get(id);
  }

  /** Newest first. @returns one more than `limit` when there are more */
  list(name: string, { preset, before = Number.POSITIVE_INFINITY, limit }: KeptCallPage): KeptCall[] {
    const kinds = this.#functions.get(name);
    if (!kinds) return [];
    return Object.values(kinds)
      .flat()
      .filter((call) => call.at < before && isMeant(call.marks, preset))
      .sort((one, other) => other.at - one.at)
      .slice(0, limit + 1);
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }
}

const NONE: readonly string[] = [];

function kindOf({ error, cold, slow }: CallMarks): Kind {
  if (error) return "error";
  if (cold) return "cold";
  return slow ? "slow" : "ordinary";
}

function isMeant({ error, slow, cold }: CallMarks, preset: CallPreset): boolean {
  if (preset === "all") return true;
  return preset === "errors" ? error : preset === "slow" ? slow : cold;
}

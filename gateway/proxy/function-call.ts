import { FaasError, STATUS, toFaasError } from "../../contract/errors.ts";
import { leadsOut } from "../core/provider-answer.ts";
import { ColdWait } from "./cold-wait.ts";
import type { AnswerHeaders, Exchange, OpenCall } from "./exchange.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { FunctionMeter } from "./function-meter.ts";
import type { CallHeaders } from "./headers.ts";
import { failureAnswer } from "./platform-answers.ts";
import type { ReplicaConnection } from "./replica.ts";
import { type AttemptedCall, ReplicaAttempt, type ReplicaRequest } from "./replica-attempt.ts";
import { type ChoiceTold, tellChoice, VERSION_HEADER } from "./version-split.ts";

/** What a call needs of the proxy that it belongs to. */
export interface CallContext {
  /** Asks the provider for replicas of a function that has none. */
  readonly wake: (entry: FunctionEntry) => void;
  /** An answer that came through the provider does not fit what is known; absent where all calls go to replicas. */
  readonly doubt?: (entry: FunctionEntry, replaced: boolean) => void;
  /** Longest wait for a replica, in milliseconds. */
  readonly holdTimeoutMs: number;
  readonly servedBy: string;
}

/** A place among the calls that wait for a replica, which a call keeps should it have to wait again. */
interface Held {
  readonly number: number;
  /** By `performance.now()`. */
  readonly deadline: number;
  readonly abort: AbortController;
  readonly coldWait: ColdWait;
}

/**
 * One call on its way to a replica. A replica that refuses the connection is passed over for another; once the request
 * has been given to a connection it is never sent again, as the function may have run, but when its watchdog says that it
 * could not even begin to.
 */
export class FunctionCall implements OpenCall, AttemptedCall {
  entry: FunctionEntry;
  readonly exchange: Exchange;
  readonly #context: CallContext;
  readonly #url: string;
  readonly #headers: CallHeaders;
  /** Present where there is something to say of the version. */
  readonly #told: ChoiceTold | undefined;
  /** Once the request has been read. */
  #request: ReplicaRequest | undefined;
  /** Once it had to wait for a replica. */
  #held: Held | undefined;
  /** The replica that has not taken it, to be passed over. */
  #refused: ReplicaConnection | undefined;
  /** While a replica has it. */
  #attempt: ReplicaAttempt | undefined;
  /** While it counts among the function's answers. */
  #startedAt: number | undefined;
  /** Where it does. */
  meter: FunctionMeter;
  #callerLeft = false;
  /** Whether it counts among the function's load. */
  #loads = false;

  constructor(
    context: CallContext,
    entry: FunctionEntry,
    exchange: Exchange,
    url: string,
    headers: CallHeaders,
    told: ChoiceTold | undefined,
  ) {
    this.entry = entry;
    this.meter = entry.meter;
    this.exchange = exchange;
    this.#context = context;
    this.#url = url;
    this.#headers = headers;
    this.#told = told;
  }

  start(): void {
    this.#loads = true;
    const { record } = this.exchange;
    if (record) record.functionName = this.entry.function.qualifiedName;
    this.entry.load.enter(performance.now());
    this.exchange.open(this, this.entry.snapshot.timeouts?.readMs);
  }

  send(body: ReplicaRequest["body"]): void {
    this.#request = { url: this.#url, headers: this.exchange.upstreamHeaders(this.#headers), body };
    this.#tryReplica(this.#request);
  }

  leave(): void {
    if (this.#callerLeft) return;
    this.#callerLeft = true;
    if (!this.#attempt) this.#unload(performance.now()); // sent calls leave when the replica has let go of them
    this.#held?.abort.abort();
    this.#attempt?.abort();
  }

  get callerLeft(): boolean {
    return this.#callerLeft;
  }

  get coldWait(): ColdWait | undefined {
    return this.#held?.coldWait;
  }

  ownHeaders(): Record<string, string> {
    return {
      "x-call-id": this.#headers.callId,
      "x-start-time": this.#headers.startTime,
      "x-served-by": this.#context.servedBy,
    };
  }

  tellVersion(headers: AnswerHeaders, version: string | undefined): void {
    if (version !== undefined) headers[VERSION_HEADER] = version;
    if (this.#told !== undefined) tellChoice(headers, this.#told);
  }

  end(status: number): void {
    this.#attempt = undefined;
    const now = performance.now();
    this.#unload(now);
    if (this.#startedAt === undefined) return;
    this.meter.end(status, (now - this.#startedAt) / 1000);
    this.meter.trial?.observe(status, now - this.#startedAt, this.#held !== undefined);
    if (this.#held) this.meter.waited(this.#held.coldWait.seconds(now));
    this.#startedAt = undefined;
  }

  fail(error: FaasError, begun: boolean): void {
    this.#end(error);
    if (begun) this.exchange.breakOff();
    else this.#refuse(error, "proxy");
  }

  doubt(replaced: boolean): void {
    this.#context.doubt?.(this.entry, replaced);
  }

  retry(refused: ReplicaConnection): void {
    this.#attempt = undefined;
    this.#refused = refused;
    if (this.#request) this.#tryReplica(this.#request);
  }

  #tryReplica(request: ReplicaRequest): void {
    if (this.#callerLeft) return;
    if (this.entry.successor !== undefined) this.#follow(this.entry.successor);
    const others = !this.#held && this.entry.held.count > 0;
    let choice = this.entry.choose(this.#refused);
    // Another thread may be the first to take the last place.
    while (choice.kind === "replica" && !others && !this.entry.enter(choice.replica)) {
      choice = this.entry.choose(this.#refused);
    }
    if (choice.kind === "replica" && !others) this.#dispatch(choice.replica, request);
    else if (choice.kind === "full" && !this.#held && !this.entry.queues) this.#rejectAsFull();
    else this.#hold(request).catch((error: unknown) => this.fail(toFaasError(error), false));
  }

  /** The version has gone, and its calls go on elsewhere. */
  #follow(successor: FunctionEntry): void {
    const now = performance.now();
    if (this.#loads) {
      this.entry.load.leave(now);
      successor.load.enter(now);
    }
    this.entry = successor;
    this.#refused = undefined;
    if (this.#held) this.#held = { ...this.#held, number: successor.held.nextNumber() };
  }

  /** @throws {FaasError} as `HeldCalls.wait`, and when the function cannot start */
  async #hold(request: ReplicaRequest): Promise<void> {
    const again = this.#held !== undefined;
    this.#held ??= this.#takeQueueNumber();
    this.#refused = undefined;
    const { problem } = this.entry.snapshot;
    try {
      if (problem && this.entry.readyReplicas === 0) {
        throw new FaasError("unavailable", `function ${this.entry.qualifiedName} cannot start: ${problem}`, {
          code: "cannot_start",
        });
      }
      const { number, deadline, abort } = this.#held;
      const waiting = this.entry.held.wait({ number, again, deadline, signal: abort.signal });
      this.#context.wake(this.entry);
      // There may be a place: it came only behind others that are on their way to theirs.
      if (!again) this.entry.releaseHeld();
      await waiting;
    } catch (error) {
      if (this.#callerLeft) return;
      throw error;
    }
    this.#tryReplica(request);
  }

  #takeQueueNumber(): Held {
    const { record } = this.exchange;
    if (record) record.heldAt = performance.now();
    return {
      number: this.entry.held.nextNumber(),
      deadline: performance.now() + this.#context.holdTimeoutMs,
      abort: new AbortController(),
      coldWait: new ColdWait(),
    };
  }

  /** @param replica where it has its place */
  #dispatch(replica: ReplicaConnection, request: ReplicaRequest): void {
    if (replica.isProvider && leadsOut(request.url)) {
      replica.occupancy.leave();
      this.fail(new FaasError("invalid", "the path must not lead out of the function"), false);
      return;
    }
    const now = performance.now();
    this.#count(now);
    this.#held?.coldWait.sent();
    this.exchange.record?.sent(now, replica);
    const attempt = new ReplicaAttempt(this, replica, now);
    this.#attempt = attempt;
    attempt.send(request);
  }

  #count(now: number): void {
    if (this.#startedAt !== undefined) return;
    this.#startedAt = now;
    this.meter = this.exchange.meter ?? this.entry.meter;
    this.meter.start();
  }

  #unload(now: number): void {
    if (!this.#loads) return;
    this.#loads = false;
    this.entry.load.leave(now);
  }

  #rejectAsFull(): void {
    const limit = this.entry.snapshot.maxInflight ?? 0;
    const error = new FaasError("overloaded", `Concurrent request limit exceeded. Max concurrent requests: ${limit}`, {
      code: "concurrency_limit",
    });
    this.#end(error);
    this.#refuse(error, "faas-middleware");
  }

  /** Refused before it was sent, it counts among the answers all the same. */
  #end(error: FaasError): void {
    this.#count(performance.now());
    this.end(STATUS[error.kind]);
  }

  #refuse(error: FaasError, internal: string): void {
    const { held } = this.entry;
    const again = error.kind === "overloaded" ? held.retryAfterSeconds : error.kind === "unavailable" ? 1 : undefined;
    const headers: AnswerHeaders = this.ownHeaders();
    this.tellVersion(headers, this.entry.version);
    // Of them all only cookies may be several, and there is no other than ours.
    if (Array.isArray(headers["set-cookie"])) headers["set-cookie"] = headers["set-cookie"].join("");
    this.exchange.refuse(failureAnswer(error, internal, headers as Record<string, string>, again));
  }
}

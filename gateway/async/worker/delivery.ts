import type { FunctionRef } from "../../../contract/functions.ts";
import { versionedName } from "../../../contract/versions/version-name.ts";
import type { Logger } from "../../../kit/log.ts";
import { sleep } from "../../../kit/sleep.ts";
import { Slices } from "../../../kit/slices.ts";
import { isExcusable, refusalWait } from "../../core/call-limit.ts";
import { decideRetry, fullJitterBackoff } from "../../core/retry-policy.ts";
import { stampOf } from "../../core/traffic/stamp.ts";
import type {
  CallbackEnd,
  CallPermit,
  Disposition,
  Outcome,
  PendingCallback,
  Queue,
  QueuedCall,
} from "../../queue/queue.ts";
import { type Callbacks, factsOf } from "../callbacks/callbacks.ts";
import { type DeliveryEnd, placeOf, type QueueWorkerEvents } from "../events.ts";
import type { AnsweredCall, CallAnswer, FunctionCaller } from "../function-caller.ts";
import { resultHeaders } from "../headers.ts";
import { type ResultLimits, readResult } from "../result.ts";
import { isPassing, isWholeBatch, publishMembers } from "./batch-members.ts";
import type { DeliveryLimits } from "./function-limits.ts";
import type { FunctionSnapshots } from "./function-snapshots.ts";
import type { Policies } from "./policies.ts";
import { validateStoredCall } from "./validate-stored-call.ts";

export interface DeliveryOptions {
  readonly queue: Pick<Queue, "publish" | "maxResultBytes">;
  readonly caller: Pick<FunctionCaller, "call">;
  readonly callbacks: Callbacks;
  readonly functions: Pick<FunctionSnapshots, "find">;
  readonly policies: Policies;
  readonly limits: DeliveryLimits;
  /** Of results that a callback wants. */
  readonly resultLimits: ResultLimits;
  /** Wait between tries to reach the gateway: its shortest and longest. */
  readonly unreachableWaitMs: readonly [min: number, max: number];
  readonly log: Pick<Logger, "debug" | "info" | "warn">;
  readonly events: QueueWorkerEvents;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds with fractions, for durations: that of the limits. */
  readonly clock: () => number;
  readonly random: () => number;
}

/** A call that is tried. */
interface Task {
  readonly call: QueuedCall;
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly permit: CallPermit;
}

type WholePlace = Extract<QueuedCall["batch"], { kind: "whole" }>;

/** Pause before the members of a batch are published again. */
const BATCH_RETRY_MS = [500, 5000] as const;

/** Takes one call after the other to its function, and says what becomes of it. */
export class CallDelivery {
  readonly #options: DeliveryOptions;
  /** For batches. */
  readonly #slices = new Slices();
  #unreachable = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** A queue's `Deliver`. */
  async deliver(call: QueuedCall, attempt: number, signal: AbortSignal, permit: CallPermit): Promise<Disposition> {
    const task = { call, attempt, signal, permit };
    const { events } = this.#options;
    const where = placeOf(call);
    if (call.batch?.kind === "whole" && !call.callback) {
      const end = await this.#spreadInTime(task, call.batch);
      // What is spread has not ended: its calls are counted one by one.
      if (end.kind !== "done") {
        events.delivered?.(where);
        events.ended?.({ ...where, end: endOf(end) });
      }
      return end;
    }
    events.delivered?.(where);
    let end: Disposition | undefined;
    try {
      end = await this.#decide(task);
      return end;
    } finally {
      events.ended?.({ ...where, end: endOf(end) });
    }
  }

  async #decide(task: Task): Promise<Disposition> {
    const { call, attempt } = task;
    if (call.callback) return await this.#callBack(task, call.callback);
    if (this.#expiresBy(call, 0)) return await this.#expired(task);
    const { answer, startedAt } = await this.#call(task);
    if (answer.kind === "unsendable") return this.#dead(call, attempt, `the call cannot be sent: ${answer.reason}`);
    // The gateway was away until the call's time had passed.
    if (answer.kind === "unreachable") return await this.#expired(task);
    try {
      if (isRefusal(answer) && this.#isExcused(call)) return await this.#refused(task, startedAt);
      return await this.#conclude(task, answer, startedAt);
    } finally {
      await answer.result.discard();
    }
  }

  #isExcused({ refused }: QueuedCall): boolean {
    return !refused || isExcusable({ times: refused.times, forMs: this.#options.now() - refused.since });
  }

  /** Whether the call's time has passed in `ms` from now. */
  #expiresBy({ notAfter }: QueuedCall, ms: number): boolean {
    return notAfter !== undefined && this.#options.now() + ms > notAfter;
  }

  /** Status 504 stands for the answer that it did not get. */
  async #expired(task: Task): Promise<Disposition> {
    const { call, attempt } = task;
    const { policies, now } = this.#options;
    if (call.callbackUrl === undefined) return { kind: "expired" };
    const { policy } = policies.find(refOf(call));
    const durationMs = now() - call.acceptedAt;
    return await this.#callBack(task, {
      url: call.callbackUrl,
      state: "expired",
      retry: attempt - 1,
      retryMax: policy.attempts,
      durationMs,
      outcome: { status: 504, durationMs },
      tries: 0,
      since: now(),
    });
  }

  async #spreadInTime(task: Task, place: WholePlace): Promise<Disposition> {
    return this.#expiresBy(task.call, 0)
      ? await this.#expired(task)
      : await this.#spread(task.call, place, task.signal);
  }

  /** Makes a batch's lines calls of their own. */
  async #spread(call: QueuedCall, place: WholePlace, signal: AbortSignal): Promise<Disposition> {
    const isWhole = await isWholeBatch(call, place, this.#slices);
    const problem = validateStoredCall(call) ?? (isWhole ? undefined : "some of its lines are missing");
    if (problem !== undefined) return this.#dead(call, 1, `the batch cannot be read: ${problem}`);
    const { queue, random, log } = this.#options;
    try {
      await publishMembers(queue, call, place, this.#slices, signal);
      return { kind: "done" };
    } catch (err) {
      signal.throwIfAborted();
      if (!isPassing(err)) throw err;
      log.warn({ ...factsOf(call), err }, "could not queue the calls of a batch; will retry");
      const [min, max] = BATCH_RETRY_MS;
      return { kind: "retry", afterMs: min + Math.round((max - min) * random()), counted: false };
    }
  }

  /** Waits for the gateway to be there, for as long as the call has time. */
  async #call(task: Task): Promise<{ readonly answer: CallAnswer; readonly startedAt: number }> {
    const { call, attempt, signal, permit } = task;
    const { caller, log, clock, random } = this.#options;
    const [minWaitMs, maxWaitMs] = this.#options.unreachableWaitMs;
    for (let tries = 1; ; tries++) {
      // It may wait for minutes, and others need not.
      if (this.#isScaledToZero(call)) permit.lendSlot();
      const startedAt = clock();
      const answer = await caller.call(call, this.#keepLimits(call), signal, attempt);
      if (answer.kind !== "unreachable") {
        if (this.#unreachable) log.info({}, "gateway reachable again");
        this.#unreachable = false;
        return { answer, startedAt };
      }
      if (!this.#unreachable) log.warn({ err: answer.error }, "gateway unreachable; calls wait");
      this.#unreachable = true;
      const waitMs = minWaitMs + fullJitterBackoff(tries, minWaitMs, maxWaitMs, random());
      if (this.#expiresBy(call, waitMs)) return { answer, startedAt };
      // All calls go through the gateway, so none waits for the slot that this one keeps.
      await sleep(waitMs, signal);
      signal.throwIfAborted();
    }
  }

  #isScaledToZero(call: QueuedCall): boolean {
    const { functions } = this.#options;
    const version = stampOf(call);
    const ref = refOf(call);
    const own = version === undefined ? undefined : { ...ref, name: versionedName(ref.name, version) };
    return ((own && functions.find(own)) ?? functions.find(ref))?.readyReplicas === 0;
  }

  /** Which results are worth keeping: those that somebody may ask for, and in full those that a callback wants. */
  #keepLimits({ callbackUrl }: QueuedCall): ResultLimits | undefined {
    const { queue, resultLimits } = this.#options;
    if (callbackUrl !== undefined) return resultLimits;
    if (queue.maxResultBytes === 0) return undefined;
    return { ...resultLimits, memoryBytes: queue.maxResultBytes, maxBytes: queue.maxResultBytes };
  }

  /**
   * Refused by the platform before the function saw it: its limit is reached, which says nothing about the call. It
   * goes back rather than wait in a slot that another function's call can have.
   */
  async #refused(task: Task, startedAt: number): Promise<Disposition> {
    const { call } = task;
    const { limits, events, random } = this.#options;
    events.refused?.(placeOf(call));
    const pauseMs = limits.refused(refOf(call), startedAt);
    const afterMs = Math.max(pauseMs, refusalWait(call.refused?.times ?? 0, random()));
    if (this.#expiresBy(call, afterMs)) return await this.#expired(task);
    return { kind: "retry", afterMs, counted: false, refused: true };
  }

  async #conclude(
    { call, attempt, signal, permit }: Task,
    answer: AnsweredCall,
    startedAt: number,
  ): Promise<Disposition> {
    const { policies, callbacks, events, log, now, clock, random } = this.#options;
    const { policy, known } = policies.find(refOf(call));
    const { status, internal, headers } = answer;
    const durationMs = clock() - startedAt;
    this.#observe(call, answer, startedAt);
    const retryAfter = [headers["retry-after"]].flat()[0];
    const decided = decideRetry({ status, internal, known, retryAfter, attempt, now: now(), random: random() }, policy);
    // The next try would be too late, so this was the last one.
    const late = decided.kind === "retry" && this.#expiresBy(call, decided.afterMs);
    const decision = late
      ? {
          kind: "dead" as const,
          reason: `attempt ${attempt} ended with status ${status}, and no time is left for another`,
        }
      : decided;
    events.attempted?.({ ...placeOf(call), status, durationMs, decision });
    log.debug({ ...factsOf(call), attempt, status, durationMs, decision }, "attempt ended");
    if (decision.kind === "retry") {
      const attempted = { status, durationMs: Math.round(durationMs) };
      return {
        kind: "retry",
        afterMs: decision.afterMs,
        outcome: attempted,
        ...(isRefusal(answer) && { refused: true }),
      };
    }
    const outcome = await this.#outcomeOf(answer, Math.round(durationMs));
    const reason = decision.kind === "dead" ? decision.reason : undefined;
    if (call.callbackUrl === undefined) {
      return reason === undefined ? { kind: "done", outcome } : this.#dead(call, attempt, reason, { outcome });
    }
    const news = {
      url: call.callbackUrl,
      state: decision.kind,
      retry: attempt - 1,
      retryMax: policy.attempts,
      durationMs,
    };
    if (outcome.result) {
      const answered = { ...news, outcome, tries: 0, since: now(), ...(reason !== undefined && { reason }) };
      return await this.#callBack({ call, attempt, signal, permit }, answered);
    }
    // The callback of a result that the queue cannot keep is sent from here, or the function would have to run again.
    permit.release();
    const callback = await callbacks.tell(call, news, answer, signal);
    return this.#toldEnd(call, attempt, { outcome, callback }, reason);
  }

  /** One try of its callback. What comes of it is stored, so that nobody makes the call again for it. */
  async #callBack({ call, attempt, signal, permit }: Task, pending: PendingCallback): Promise<Disposition> {
    // Its receiver may be away for minutes, which is nobody else's business.
    permit.release();
    try {
      const made = await this.#options.callbacks.tryOnce(call, pending, signal);
      if (!("kind" in made)) {
        const { outcome, reason } = pending;
        if (pending.state === "expired") return { kind: "expired", callback: made };
        return this.#toldEnd(call, attempt, { outcome, callback: made }, reason);
      }
      const { tries, reason: failure, afterMs } = made;
      return { kind: "callback", afterMs, callback: { ...pending, tries, failure } };
    } catch (error) {
      // The worker stops. What is stored already is handed back as it is.
      if (!signal.aborted || call.callback) throw error;
      return { kind: "callback", afterMs: 0, callback: pending };
    }
  }

  /** @param reason why it is dead whatever became of its callback */
  #toldEnd(
    call: QueuedCall,
    attempt: number,
    told: { readonly outcome: Outcome; readonly callback: CallbackEnd },
    reason: string | undefined,
  ): Disposition {
    const { delivered, failure = "" } = told.callback;
    if (reason !== undefined) return this.#dead(call, attempt, reason, told);
    return delivered ? { kind: "done", ...told } : this.#dead(call, attempt, `the callback failed: ${failure}`, told);
  }

  #observe(call: QueuedCall, { status, internal }: AnsweredCall, startedAt: number): void {
    const { limits } = this.#options;
    if (internal && status === 503) limits.refused(refOf(call), startedAt);
    // Other platform errors tell nothing about how many calls there is room for.
    else if (!internal) limits.accepted(refOf(call), startedAt);
  }

  async #outcomeOf({ status, headers, result }: AnsweredCall, durationMs: number): Promise<Outcome> {
    const { maxResultBytes } = this.#options.queue;
    const pairs = resultHeaders(headers);
    const bytes = pairs.reduce((sum, [name, value]) => sum + name.length + value.length, result.bytes);
    if (result.omitted !== undefined || bytes > maxResultBytes) return { status, durationMs };
    return { status, durationMs, result: { headers: pairs, body: await readResult(result) } };
  }

  #dead(
    call: QueuedCall,
    attempt: number,
    reason: string,
    told: { readonly outcome?: Outcome; readonly callback?: CallbackEnd } = {},
  ): Disposition {
    this.#options.log.warn({ ...factsOf(call), attempt, reason }, "call moved to dead letters");
    return { kind: "dead", reason, ...told };
  }
}

/** The platform had no room for the call, or so it seems. */
function isRefusal({ status, internal }: AnsweredCall): boolean {
  return status === 429 && internal;
}

function refOf({ function: name, namespace }: QueuedCall): FunctionRef {
  return { name, namespace };
}

function endOf(end: Disposition | undefined): DeliveryEnd {
  return !end || (end.kind === "retry" && end.counted === false) ? "handedBack" : end.kind;
}

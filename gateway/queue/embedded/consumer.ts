import { setTimeout as delay } from "node:timers/promises";
import type { FunctionRef } from "../../../contract/functions.ts";
import type { Logger } from "../../../kit/log.ts";
import type { ConsumeOptions, Consumer, Deliver, FinishedMember, Place, QueuedCall } from "../queue.ts";
import { Aside, type HeldPlace, type Hold } from "../worker/aside.ts";
import type { CallIds } from "./call-ids.ts";
import { FunctionLimits, type Limit } from "./limits.ts";
import { type DeliveredCall, decodeCall, type EndedBatch, type Settlement } from "./protocol.ts";
import { toSettlement } from "./settlement.ts";

/** How long an aborted attempt may take to end before its call is handed back all the same. */
const ABORT_GRACE_MS = 1000;
/** How long closing waits for the last settlements to be on disk. What is not is delivered again, which is allowed. */
const SETTLE_TIMEOUT_MS = 5000;
/** What throws is tried again after 1 s, doubling up to a minute; an attempt not for ever. */
const THROWN_MIN_WAIT_MS = 1000;
const THROWN_MAX_WAIT_MS = 60_000;
const THROWN_MAX_ATTEMPTS = 20;

interface UnderWay {
  readonly abort: AbortController;
  ended: Promise<void>;
}

export interface ConsumerPort {
  settle(settlement: Settlement): void;
  limits(limits: readonly Limit[]): void;
  /** A call under way takes less from now on. */
  aside(seq: number, hold: Hold): void;
  /** Asks for no more calls; {@link EmbeddedConsumer.settled} is the answer. */
  pause(): void;
  members(whole: number): AsyncIterable<FinishedMember>;
  closed(): void;
}

export interface ConsumerContext {
  readonly ids: CallIds;
  readonly maxResultBytes: number;
  readonly log: Pick<Logger, "error" | "warn">;
  readonly port: ConsumerPort;
}

/** Runs `deliver` for every call the thread hands over. */
export class EmbeddedConsumer implements Consumer {
  readonly #deliver: Deliver;
  readonly #finishBatch: ConsumeOptions["finishBatch"];
  readonly #context: ConsumerContext;
  readonly #limits: FunctionLimits;
  readonly #aside: Aside;
  readonly #underWay = new Map<number, UnderWay>();
  /** Batches whose end is being told. */
  readonly #telling = new Map<number, Promise<void>>();
  readonly #settled = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;

  constructor(deliver: Deliver, options: ConsumeOptions, context: ConsumerContext) {
    this.#deliver = deliver;
    this.#finishBatch = options.finishBatch?.bind(options);
    this.#context = context;
    this.#aside = new Aside(options.concurrency);
    this.#limits = new FunctionLimits(
      (ref) => options.limitOf(ref),
      (limits) => context.port.limits(limits),
    );
  }

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  start(stored: DeliveredCall): void {
    const refusal = this.#begin(stored);
    if (refusal) this.#context.port.settle(refusal);
  }

  /** @returns what becomes of the call when it does not start */
  #begin(stored: DeliveredCall): Settlement | undefined {
    const { seq } = stored;
    if (this.#closing) return { seq, kind: "back" };
    const id = this.#context.ids.encode(seq);
    let call: QueuedCall;
    try {
      call = decodeCall(stored, id);
    } catch (err) {
      this.#context.log.error({ err, callId: id }, "a stored call cannot be read");
      return { seq, kind: "dead", reason: "the stored call cannot be read" };
    }
    const fn = `${call.function}.${call.namespace}`;
    if (!this.#limits.admit(fn)) return { seq, kind: "back" };
    const abort = new AbortController();
    // Listed before it begins: it may leave its place at once.
    const underWay: UnderWay = { abort, ended: Promise.resolve() };
    this.#underWay.set(seq, underWay);
    const place = this.#aside.begin((hold) => {
      if (hold === "nothing") this.#limits.ended(fn);
      // Else it has been handed back, and may be under way anew by now.
      if (this.#underWay.get(seq) === underWay) this.#context.port.aside(seq, hold);
    });
    underWay.ended = this.#run(stored, call, fn, abort, place);
    return undefined;
  }

  /** These calls have been cancelled. */
  abort(calls: readonly number[]): void {
    for (const seq of calls) this.#underWay.get(seq)?.abort.abort(new Error("the call has been cancelled"));
  }

  /** The ends of these batches are to be told. */
  tell(batches: readonly EndedBatch[]): void {
    for (const batch of batches) {
      const { seq } = batch;
      if (this.#closing) this.#context.port.settle({ seq, kind: "untold", afterMs: 0 });
      else this.#telling.set(seq, this.#tell(batch));
    }
  }

  limitsWanted(functions: readonly string[]): void {
    this.#limits.wanted(functions);
  }

  limitChanged(ref: FunctionRef): void {
    this.#limits.changed(ref);
  }

  /** Every call that was handed over is settled, or never will be because the thread is gone. */
  settled(): void {
    this.#settled.resolve();
  }

  /** The thread is gone: stops what is under way, for another thread to deliver it again. */
  async interrupt(): Promise<void> {
    for (const { abort } of this.#underWay.values()) abort.abort(new Error("the queue has failed"));
    if (this.#closing) this.settled();
    await this.#ended(ABORT_GRACE_MS);
    this.#underWay.clear();
    this.#telling.clear();
  }

  close(drainTimeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(drainTimeoutMs);
    return this.#closing;
  }

  async #close(drainTimeoutMs: number): Promise<void> {
    const { port } = this.#context;
    port.pause();
    await this.#ended(drainTimeoutMs);
    for (const { abort } of this.#underWay.values()) abort.abort(new Error("the consumer is closing"));
    await this.#ended(ABORT_GRACE_MS);
    for (const seq of this.#underWay.keys()) port.settle({ seq, kind: "back" });
    for (const seq of this.#telling.keys()) port.settle({ seq, kind: "untold", afterMs: 0 });
    this.#underWay.clear();
    this.#telling.clear();
    await within(SETTLE_TIMEOUT_MS, this.#settled.promise);
    this.#limits.close();
    port.closed();
  }

  async #ended(timeoutMs: number): Promise<void> {
    const all = [...[...this.#underWay.values()].map(({ ended }) => ended), ...this.#telling.values()];
    if (all.length > 0) await within(timeoutMs, Promise.all(all));
  }

  async #run(
    stored: DeliveredCall,
    call: QueuedCall,
    fn: string,
    abort: AbortController,
    place: HeldPlace,
  ): Promise<void> {
    const settlement = await this.#attempt(stored, call, abort.signal, place);
    if (place.end() !== "nothing") this.#limits.ended(fn);
    // Whoever gave up waiting for this attempt has handed its call back, which may be under way anew by now.
    if (this.#underWay.get(stored.seq)?.abort !== abort) return;
    this.#underWay.delete(stored.seq);
    this.#context.port.settle(settlement);
  }

  /** Never rejects. */
  async #attempt(
    { seq, attempt }: DeliveredCall,
    call: QueuedCall,
    signal: AbortSignal,
    place: Place,
  ): Promise<Settlement> {
    try {
      const disposition = await this.#deliver(call, attempt, signal, place);
      if (signal.aborted && disposition.kind !== "done") return { seq, kind: "back" };
      return toSettlement(seq, disposition, this.#context.maxResultBytes);
    } catch (err) {
      if (signal.aborted) return { seq, kind: "back" };
      const facts = { err, callId: call.id, function: call.function, namespace: call.namespace, attempt };
      this.#context.log.error(facts, "delivering a call failed");
      if (attempt >= THROWN_MAX_ATTEMPTS) return { seq, kind: "dead", reason: `delivering failed: ${String(err)}` };
      return { seq, kind: "retry", afterMs: backoffMs(attempt) };
    }
  }

  async #tell(batch: EndedBatch): Promise<void> {
    const settlement = await this.#tryToTell(batch);
    if (this.#telling.delete(batch.seq)) this.#context.port.settle(settlement);
  }

  /** Never rejects. */
  async #tryToTell({ seq, acceptedAt, meta, tries, progress }: EndedBatch): Promise<Settlement> {
    const { ids, log, port } = this.#context;
    // Whatever it does, it does after it is listed as being told.
    await Promise.resolve();
    try {
      const whole = decodeCall({ acceptedAt, meta, body: new Uint8Array() }, ids.encode(seq));
      await this.#finishBatch?.({ whole, progress, members: () => port.members(seq) });
      return { seq, kind: "told" };
    } catch (err) {
      if (this.#closing) return { seq, kind: "untold", afterMs: 0 };
      log.warn({ err, callId: ids.encode(seq), tries }, "the end of a batch could not be told yet");
      return { seq, kind: "untold", afterMs: backoffMs(tries) };
    }
  }
}

function backoffMs(tries: number): number {
  return Math.min(THROWN_MAX_WAIT_MS, THROWN_MIN_WAIT_MS * 2 ** Math.min(tries - 1, 10));
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const timeout = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([work, timeout]);
  timer.abort();
}

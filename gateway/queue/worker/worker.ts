import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import type { Logger } from "../../../kit/log.ts";
import { within } from "../../../kit/within.ts";
import type { ConsumeOptions, Consumer, Deliver, Disposition } from "../queue.ts";
import { type CallSlots, SlotlessCalls } from "./call-slots.ts";
import { StartOrder } from "./start-order.ts";
import { type Attempt, type ClaimStore, type Claims, type Ending, type FunctionQueue, limitOf } from "./store.ts";
import { type Taker, Turns } from "./turns.ts";

/** How long an aborted attempt may take to end before its call goes its way all the same. */
const ABORT_GRACE_MS = 1000;
/** How often the limits of functions that are at theirs are looked up. */
const POLL_MS = 500;
/** What throws is tried again after 1 s, doubling up to a minute; an attempt not for ever. */
const THROWN_MIN_WAIT_MS = 1000;
const THROWN_MAX_WAIT_MS = 60_000;
const THROWN_MAX_ATTEMPTS = 20;

const BACK = "back";

interface FunctionQueueState<C> extends FunctionQueue, Taker {
  /** Calls that can be claimed, as far as is known. */
  available: number;
  /** Calls asked for, each of which has its slots already. */
  promised: number;
  underWay: number;
  /** Claimed calls that nobody asked for. */
  readonly waiting: C[];
  readonly order: StartOrder;
}

interface UnderWay<C> {
  readonly functionQueue: FunctionQueueState<C>;
  readonly abort: AbortController;
  readonly slot: CallSlots;
  /** Never rejects. */
  trying: Promise<unknown>;
  cancelled: boolean;
}

/**
 * Gives the calls of all functions their turns in this process, wherever they lie: claims as many as there is room for,
 * tries them, and says what became of them.
 */
export class QueueWorker<C extends object> implements Consumer, Claims<C> {
  readonly #store: ClaimStore<C>;
  readonly #deliver: Deliver;
  readonly #options: Pick<ConsumeOptions, "concurrency" | "limitOf">;
  readonly #log: Pick<Logger, "error">;
  readonly #slotless: SlotlessCalls;
  readonly #functionQueues = new Map<string, FunctionQueueState<C>>();
  readonly #underWay = new Map<C, UnderWay<C>>();
  readonly #poll: NodeJS.Timeout;
  #turns: Turns<FunctionQueueState<C>>;
  #turning = false;
  #idle: PromiseWithResolvers<void> | undefined;
  #losing: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    store: ClaimStore<C>,
    deliver: Deliver,
    options: Pick<ConsumeOptions, "concurrency" | "limitOf">,
    log: Pick<Logger, "error">,
  ) {
    this.#store = store;
    this.#deliver = deliver;
    this.#options = options;
    this.#log = log;
    this.#slotless = new SlotlessCalls(options.concurrency);
    this.#turns = this.#newTurns();
    this.#poll = setInterval(() => {
      this.#turns.unblockAll();
      this.#turnSoon();
    }, POLL_MS).unref();
  }

  #newTurns(): Turns<FunctionQueueState<C>> {
    return new Turns(this.#options.concurrency, (functionQueue, underWay) => {
      const limit = limitOf(functionQueue, this.#options);
      // What is in hand is nobody else's to take.
      return underWay < (functionQueue.waiting.length > 0 ? limit : this.#store.share(functionQueue, limit));
    });
  }

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  limitChanged(ref: FunctionRef): void {
    this.#turns.unblock(qualifiedName(ref));
    this.#turnSoon();
  }

  ready(of: FunctionQueue, count: number): void {
    if (this.#closing) return;
    const functionQueue = this.#functionQueueOf(of);
    functionQueue.available = count;
    if (count === 0) this.#restIfDone(functionQueue);
    else {
      this.#turns.wake(functionQueue);
      this.#turnSoon();
    }
  }

  delivered(of: FunctionQueue, claims: readonly C[]): void {
    const functionQueue = this.#functionQueueOf(of);
    for (const claim of claims) {
      if (this.#closing) this.#store.release(claim);
      else if (functionQueue.promised > 0) this.#admit(functionQueue, claim);
      else {
        functionQueue.waiting.push(claim);
        this.#turns.wake(functionQueue);
        this.#turnSoon();
      }
    }
    this.#restIfDone(functionQueue);
  }

  /**
   * A claimed call that nobody asked for, to be tried now or not at all.
   * @returns whether it is tried; the claim is the store's again when it is not
   */
  offer(of: FunctionQueue, claim: C): boolean {
    if (this.#closing) return false;
    const functionQueue = this.#functionQueueOf(of);
    functionQueue.waiting.push(claim);
    this.#turns.wake(functionQueue);
    this.#turning = true;
    this.turn();
    const at = functionQueue.waiting.indexOf(claim);
    if (at >= 0) functionQueue.waiting.splice(at, 1);
    this.#restIfDone(functionQueue);
    return at < 0;
  }

  missed(of: FunctionQueue, count: number): void {
    const functionQueue = this.#functionQueueOf(of);
    for (let left = Math.min(count, functionQueue.promised); left > 0; left--) this.#unpromise(functionQueue);
    this.#restIfDone(functionQueue);
  }

  cancel(claim: C): void {
    const call = this.#underWay.get(claim);
    if (!call || call.cancelled) return;
    call.cancelled = true;
    call.abort.abort(new Error("the call has been cancelled"));
    setTimeout(() => this.#end(claim, call, { kind: "cancelled" }), ABORT_GRACE_MS).unref();
  }

  lost(): Promise<unknown> {
    const calls = [...this.#underWay.values()];
    this.#underWay.clear();
    this.#functionQueues.clear();
    this.#turns = this.#newTurns();
    for (const { abort, slot } of calls) {
      slot.end();
      abort.abort(new Error("the queue has failed"));
    }
    this.#losing = within(ABORT_GRACE_MS, Promise.all(calls.map(({ trying }) => trying)));
    this.#noteIfIdle();
    return this.#losing;
  }

  close(drainTimeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(drainTimeoutMs);
    return this.#closing;
  }

  async #close(drainTimeoutMs: number): Promise<void> {
    clearInterval(this.#poll);
    this.#store.stop();
    for (const { waiting } of this.#functionQueues.values())
      for (const claim of waiting.splice(0)) this.#store.release(claim);
    await within(drainTimeoutMs, this.#whenIdle());
    for (const { abort } of this.#underWay.values()) abort.abort(new Error("the worker stops"));
    await within(ABORT_GRACE_MS, this.#whenIdle());
    for (const [claim, call] of this.#underWay) this.#end(claim, call, BACK);
    await this.#losing;
    await this.#store.flush();
  }

  /** What happens in one turn of the event loop is dealt with together. */
  #turnSoon(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(() => this.turn());
  }

  /** Claims at once what there is room for now, if anything has changed: for a store that is about to send something. */
  turn(): void {
    if (!this.#turning) return;
    this.#turning = false;
    if (this.#closing) return;
    const claims = new Map<FunctionQueueState<C>, number>();
    for (let functionQueue = this.#turns.next(); functionQueue; functionQueue = this.#turns.next()) {
      const claim = functionQueue.waiting.shift();
      if (claim) this.#start(functionQueue, claim);
      else {
        functionQueue.available--;
        functionQueue.promised++;
        claims.set(functionQueue, (claims.get(functionQueue) ?? 0) + 1);
      }
      this.#restIfDone(functionQueue);
    }
    for (const [functionQueue, count] of claims) this.#store.claim(functionQueue, count);
  }

  #functionQueueOf({ key, ref, callbacks = false }: FunctionQueue): FunctionQueueState<C> {
    let functionQueue = this.#functionQueues.get(key);
    if (!functionQueue) {
      const fn = qualifiedName(ref);
      functionQueue = {
        key,
        ref,
        callbacks,
        // Calls that are made, and what their receivers are told, do not count for each other.
        fn: callbacks ? `${fn} callbacks` : fn,
        available: 0,
        promised: 0,
        underWay: 0,
        waiting: [],
        order: new StartOrder(),
      };
      this.#functionQueues.set(key, functionQueue);
    }
    return functionQueue;
  }

  /** A function queue that has nothing to give is out of the turns, and forgotten once nothing is to come or under way. */
  #restIfDone(functionQueue: FunctionQueueState<C>): void {
    if (functionQueue.available > 0 || functionQueue.waiting.length > 0) return;
    this.#turns.sleep(functionQueue);
    if (functionQueue.promised + functionQueue.underWay === 0) this.#functionQueues.delete(functionQueue.key);
  }

  /** A call that was asked for. The limit may have fallen since. */
  #admit(functionQueue: FunctionQueueState<C>, claim: C): void {
    const underWay = this.#turns.underWay(functionQueue.fn) - functionQueue.promised;
    if (underWay < limitOf(functionQueue, this.#options)) {
      functionQueue.promised--;
      this.#start(functionQueue, claim);
    } else {
      this.#unpromise(functionQueue);
      this.#store.release(claim);
    }
  }

  #unpromise(functionQueue: FunctionQueueState<C>): void {
    functionQueue.promised--;
    this.#turns.leave(functionQueue, "nothing", "both");
    this.#turnSoon();
  }

  #start(functionQueue: FunctionQueueState<C>, claim: C): void {
    const turns = this.#turns;
    const slot = this.#slotless.begin((now, before) => {
      turns.leave(functionQueue, now, before);
      if (now === "nothing") this.#store.freed(claim);
      this.#turnSoon();
    });
    const call: UnderWay<C> = {
      functionQueue,
      abort: new AbortController(),
      slot,
      trying: Promise.resolve(),
      cancelled: false,
    };
    // Listed before it begins: it may leave its slot at once.
    this.#underWay.set(claim, call);
    functionQueue.underWay++;
    call.trying = this.#try(claim, call);
  }

  /** Never rejects. */
  async #try(claim: C, call: UnderWay<C>): Promise<void> {
    const { order } = call.functionQueue;
    const opening = this.#store.open(claim);
    // Most calls have all they need, and wait for nobody.
    const turn = opening instanceof Promise || !order.idle ? order.join() : undefined;
    const attempt = opening instanceof Promise ? await opening : opening;
    if (turn) await turn.come;
    const attempting = attempt && !call.abort.signal.aborted ? this.#attempt(attempt, call) : undefined;
    turn?.pass();
    if (attempt) this.#end(claim, call, attempting ? await attempting : BACK);
    else this.#end(claim, call, undefined);
  }

  /** Never rejects. */
  async #attempt({ call, number }: Attempt, { abort, slot }: UnderWay<C>): Promise<Ending | typeof BACK> {
    const { signal } = abort;
    try {
      const disposition = await this.#deliver(call, number, signal, slot);
      // It is over and done, so nobody has to do it again.
      if (signal.aborted && disposition.kind !== "done" && disposition.kind !== "callback") return BACK;
      return checked(disposition);
    } catch (err) {
      if (signal.aborted) return BACK;
      const facts = { err, callId: call.id, function: call.function, namespace: call.namespace, attempt: number };
      this.#log.error(facts, "delivering a call failed");
      if (number >= THROWN_MAX_ATTEMPTS) return { kind: "dead", reason: `delivering failed: ${String(err)}` };
      return { kind: "retry", afterMs: backoffMs(number) };
    }
  }

  /** @param ending undefined when the store has seen to it */
  #end(claim: C, call: UnderWay<C>, ending: Ending | typeof BACK | undefined): void {
    // Whoever gave up waiting for this attempt has said what becomes of its call, which may be under way anew by now.
    if (this.#underWay.get(claim) !== call) return;
    this.#underWay.delete(claim);
    call.functionQueue.underWay--;
    this.#turns.leave(call.functionQueue, "nothing", call.slot.end());
    this.#restIfDone(call.functionQueue);
    this.#turnSoon();
    this.#noteIfIdle();
    if (ending === undefined) return;
    if (call.cancelled) this.#store.settle(claim, { kind: "cancelled" }, call.trying);
    else if (ending === BACK) this.#store.release(claim);
    else this.#store.settle(claim, ending, call.trying);
  }

  /** Resolves when nothing is under way. */
  async #whenIdle(): Promise<void> {
    if (this.#underWay.size === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  #noteIfIdle(): void {
    if (this.#underWay.size > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

/** @throws {TypeError} for what makes no sense */
function checked(disposition: Disposition): Disposition {
  const { kind } = disposition;
  if ((kind === "retry" || kind === "callback") && !Number.isFinite(disposition.afterMs)) {
    throw new TypeError(`${kind}: afterMs is ${disposition.afterMs}`);
  }
  return disposition;
}

/** How long what has thrown so often waits. */
export function backoffMs(tries: number): number {
  return Math.min(THROWN_MAX_WAIT_MS, THROWN_MIN_WAIT_MS * 2 ** Math.min(tries - 1, 10));
}

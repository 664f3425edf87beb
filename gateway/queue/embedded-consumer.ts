import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../../provider/kit/log.ts";
import { type DeliveredCall, decodeCall, type Settlement } from "./embedded-protocol.ts";
import type { Consumer, Deliver, Disposition, QueuedCall } from "./queue.ts";

/** How long an aborted attempt may take to end before its call is handed back all the same. */
const ABORT_GRACE_MS = 1000;
/** How long closing waits for the last settlements to be on disk. What is not is delivered again, which is allowed. */
const SETTLE_TIMEOUT_MS = 5000;
/** An attempt that throws is tried again after 1 s, doubling up to a minute, and not for ever. */
const THROWN_MIN_WAIT_MS = 1000;
const THROWN_MAX_WAIT_MS = 60_000;
const THROWN_MAX_ATTEMPTS = 20;

interface UnderWay {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

export interface ConsumerPort {
  settle(settlement: Settlement): void;
  /** Asks for no more calls; {@link EmbeddedConsumer.settled} is the answer. */
  pause(): void;
  closed(): void;
}

/** Runs `deliver` for every call the thread hands over. */
export class EmbeddedConsumer implements Consumer {
  readonly #deliver: Deliver;
  readonly #log: Pick<Logger, "error">;
  readonly #port: ConsumerPort;
  readonly #underWay = new Map<number, UnderWay>();
  readonly #settled = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;

  constructor(deliver: Deliver, log: Pick<Logger, "error">, port: ConsumerPort) {
    this.#deliver = deliver;
    this.#log = log;
    this.#port = port;
  }

  start(stored: DeliveredCall): void {
    if (this.#closing) {
      this.#port.settle({ seq: stored.seq, kind: "back" });
      return;
    }
    const abort = new AbortController();
    const ended = this.#run(stored, abort.signal);
    this.#underWay.set(stored.seq, { abort, ended });
  }

  /** Every call that was handed over is settled, or never will be because the thread is gone. */
  settled(): void {
    this.#settled.resolve();
  }

  close(drainTimeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(drainTimeoutMs);
    return this.#closing;
  }

  async #close(drainTimeoutMs: number): Promise<void> {
    this.#port.pause();
    await this.#ended(drainTimeoutMs);
    for (const { abort } of this.#underWay.values()) abort.abort();
    await this.#ended(ABORT_GRACE_MS);
    for (const seq of this.#underWay.keys()) this.#port.settle({ seq, kind: "back" });
    this.#underWay.clear();
    await within(SETTLE_TIMEOUT_MS, this.#settled.promise);
    this.#port.closed();
  }

  async #ended(timeoutMs: number): Promise<void> {
    if (this.#underWay.size === 0) return;
    await within(timeoutMs, Promise.all([...this.#underWay.values()].map(({ ended }) => ended)));
  }

  async #run(stored: DeliveredCall, signal: AbortSignal): Promise<void> {
    const settlement = await this.#attempt(stored, signal);
    // Whoever gave up waiting for this attempt has handed its call back.
    if (this.#underWay.delete(stored.seq)) this.#port.settle(settlement);
  }

  /** Never rejects. */
  async #attempt(stored: DeliveredCall, signal: AbortSignal): Promise<Settlement> {
    const { seq, attempt } = stored;
    let call: QueuedCall;
    try {
      call = decodeCall(stored);
    } catch (err) {
      this.#log.error({ err, callId: stored.id }, "a stored call cannot be read");
      return { seq, kind: "dead", reason: "the stored call cannot be read" };
    }
    try {
      const disposition = await this.#deliver(call, attempt, signal);
      if (signal.aborted && disposition.kind !== "done") return { seq, kind: "back" };
      return toSettlement(seq, disposition);
    } catch (err) {
      if (signal.aborted) return { seq, kind: "back" };
      const facts = { err, callId: call.id, function: call.function, namespace: call.namespace, attempt };
      this.#log.error(facts, "delivering a call failed");
      if (attempt >= THROWN_MAX_ATTEMPTS) return { seq, kind: "dead", reason: `delivering failed: ${String(err)}` };
      return { seq, kind: "retry", afterMs: Math.min(THROWN_MAX_WAIT_MS, THROWN_MIN_WAIT_MS * 2 ** (attempt - 1)) };
    }
  }
}

function toSettlement(seq: number, disposition: Disposition): Settlement {
  switch (disposition.kind) {
    case "done":
      return { seq, kind: "done" };
    case "retry": {
      if (!Number.isFinite(disposition.afterMs)) throw new TypeError(`retry: afterMs is ${disposition.afterMs}`);
      return { seq, kind: "retry", afterMs: Math.max(0, disposition.afterMs) };
    }
    case "dead":
      return { seq, kind: "dead", reason: disposition.reason };
  }
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const timeout = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([work, timeout]);
  timer.abort();
}

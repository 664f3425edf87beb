import type { Logger } from "../../../kit/log.ts";
import { within } from "../../../kit/within.ts";
import type { ConsumeOptions, FinishedMember } from "../queue.ts";
import { backoffMs } from "../worker/worker.ts";
import type { SealedCallIds } from "./call-ids.ts";
import { decodeDelivered } from "./call-meta.ts";
import type { EndedBatch, SettlementMessage } from "./protocol.ts";

/** How long another thread waits for what is being told, lest it is told twice at a time. */
const LOST_GRACE_MS = 1000;

export interface BatchTellerContext {
  readonly ids: SealedCallIds;
  readonly log: Pick<Logger, "warn">;
  settle(settlement: SettlementMessage): void;
  members(whole: number): AsyncIterable<FinishedMember>;
}

/** Tells the ends of batches to whoever consumes the queue. */
export class BatchTeller {
  readonly #finishBatch: ConsumeOptions["finishBatch"];
  readonly #context: BatchTellerContext;
  /** Batches whose end is being told. */
  readonly #telling = new Map<number, Promise<void>>();
  #closed = false;

  constructor(options: Pick<ConsumeOptions, "finishBatch">, context: BatchTellerContext) {
    this.#finishBatch = options.finishBatch?.bind(options);
    this.#context = context;
  }

  /** The ends of these batches are to be told. */
  tell(batches: readonly EndedBatch[]): void {
    for (const batch of batches) {
      const { seq } = batch;
      if (this.#closed) this.#context.settle({ seq, kind: "untold", afterMs: 0, counted: false });
      else this.#telling.set(seq, this.#tell(batch));
    }
  }

  /** The thread that wants to know is gone; the next one asks again. */
  async lost(): Promise<void> {
    await within(LOST_GRACE_MS, Promise.all(this.#telling.values()));
    this.#telling.clear();
  }

  /** Waits for those that are being told, for so long at most. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    await within(timeoutMs, Promise.all(this.#telling.values()));
    for (const seq of this.#telling.keys()) this.#context.settle({ seq, kind: "untold", afterMs: 0, counted: false });
    this.#telling.clear();
  }

  async #tell(batch: EndedBatch): Promise<void> {
    const settlement = await this.#tryToTell(batch);
    if (this.#telling.delete(batch.seq)) this.#context.settle(settlement);
  }

  /** Never rejects. */
  async #tryToTell({ seq, acceptedAt, meta, failures, progress }: EndedBatch): Promise<SettlementMessage> {
    const { ids, log } = this.#context;
    // Whatever it does, it does after it is listed as being told.
    await Promise.resolve();
    try {
      const whole = decodeDelivered({ acceptedAt, meta, body: new Uint8Array() }, ids.encode(seq));
      await this.#finishBatch?.({ whole, progress, failures, members: () => this.#context.members(seq) });
      return { seq, kind: "told" };
    } catch (err) {
      if (this.#closed) return { seq, kind: "untold", afterMs: 0, counted: false };
      const tries = failures + 1;
      log.warn({ err, callId: ids.encode(seq), tries }, "the end of a batch could not be told yet");
      return { seq, kind: "untold", afterMs: backoffMs(tries), counted: true };
    }
  }
}

import type { PersistentClock } from "../../../../kit/persistent-clock.ts";
import { addLoads, type CallLoad, NO_LOAD } from "../../call-limits.ts";
import { type Answered, functionOf } from "../protocol.ts";
import type { Delta } from "./counts.ts";
import type { CallsUnderWay, UnderWay } from "./under-way.ts";

/** What the file holds in all. */
export interface Totals {
  /** Calls that have not ended, and their bytes. */
  readonly calls: number;
  readonly bytes: number;
  readonly dead: number;
  readonly deadBytes: number;
  readonly finished: number;
  readonly finishedBytes: number;
}

/** What one transaction does beside the file; it counts only once that is committed. */
export class Draft {
  /** By the system's clock. */
  readonly now: number;
  /** See {@link PersistentClock.sure}. */
  readonly sure: number;
  /** See {@link PersistentClock.steady}. */
  readonly steady: number;
  calls: number;
  bytes: number;
  dead: number;
  deadBytes: number;
  finished: number;
  finishedBytes: number;
  droppedDead = 0;
  readonly deltas = new Map<string, Delta>();
  /** To what is claimed, the calls that begin among them. */
  readonly answers: Answered[] = [];
  readonly begunBatches: number[] = [];
  /** Cancelled while under way. */
  readonly cancelled: number[] = [];
  /** Batches whose calls are being ended, and the line to go on after. */
  readonly ending = new Map<number, number>();
  /** Batches whose members have all ended. */
  readonly complete: number[] = [];
  /** Batches whose end has been told, and those for which that failed. */
  readonly told: number[] = [];
  readonly untold: { readonly seq: number; readonly due: number }[] = [];
  /** Something that has ended may be forgotten from then on, by what is sure. */
  forgetAt: number | undefined;
  readonly #ended: { readonly seq: number; readonly call: UnderWay }[] = [];
  readonly #begun: number[] = [];
  readonly #loads = new Map<string, CallLoad>();
  readonly #underWay: CallsUnderWay;

  constructor(
    { now, sure, steady }: Pick<PersistentClock, "now" | "sure" | "steady">,
    totals: Totals,
    forgetAt: number | undefined,
    underWay: CallsUnderWay,
  ) {
    this.now = now;
    this.sure = sure;
    this.steady = steady;
    this.calls = totals.calls;
    this.bytes = totals.bytes;
    this.dead = totals.dead;
    this.deadBytes = totals.deadBytes;
    this.finished = totals.finished;
    this.finishedBytes = totals.finishedBytes;
    this.forgetAt = forgetAt;
    this.#underWay = underWay;
  }

  get ended(): readonly { readonly seq: number; readonly call: UnderWay }[] {
    return this.#ended;
  }

  of(key: string): Delta {
    let delta = this.deltas.get(key);
    if (!delta) {
      delta = { calls: 0, bytes: 0, dead: 0, accepted: 0, finished: 0 };
      this.deltas.set(key, delta);
    }
    return delta;
  }

  /** A call that has not ended has come. */
  entered(key: string, bytes: number): void {
    this.#change(key, 1, bytes);
  }

  /** It has ended. */
  left(key: string, bytes: number): void {
    this.#change(key, -1, -bytes);
  }

  #change(key: string, calls: number, bytes: number): void {
    this.calls += calls;
    this.bytes += bytes;
    const delta = this.of(key);
    delta.calls += calls;
    delta.bytes += bytes;
    const fn = functionOf(key);
    this.#loads.set(fn, addLoads(this.loadOf(fn), { calls, bytes }));
  }

  /** What this transaction changes for a function, by `name.namespace`. */
  loadOf(fn: string): CallLoad {
    return this.#loads.get(fn) ?? NO_LOAD;
  }

  begin(key: string, seq: number, isBatch: boolean): void {
    this.#underWay.begin(seq, { key, since: this.now });
    this.#begun.push(seq);
    if (isBatch) this.begunBatches.push(seq);
  }

  /** The call is no longer under way; `back` when it waits in its old place again. */
  end(seq: number, call: UnderWay, back: boolean): void {
    this.#ended.push({ seq, call });
    this.#underWay.end(seq, back);
  }

  /** The file is as it was; so is, from here on, who is under way. */
  undo(): void {
    for (const seq of this.#begun) this.#underWay.end(seq, true);
    for (const { seq, call } of this.#ended) this.#underWay.begin(seq, call);
  }
}

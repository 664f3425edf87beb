/** Ends told at a time: each may be a callback, and a batch's results are read for it. */
const MAX_AT_A_TIME = 8;

interface Pending {
  /** Milliseconds of a clock that only goes forward, as all times here. */
  due: number;
  out: boolean;
}

/** Batches whose members have all ended and whose end is still to be told. */
export class BatchEnds {
  readonly #pending = new Map<number, Pending>();

  get out(): number {
    let out = 0;
    for (const pending of this.#pending.values()) if (pending.out) out++;
    return out;
  }

  add(seq: number): void {
    if (!this.#pending.has(seq)) this.#pending.set(seq, { due: 0, out: false });
  }

  told(seq: number): void {
    this.#pending.delete(seq);
  }

  untold(seq: number, due: number): void {
    const pending = this.#pending.get(seq);
    if (pending) Object.assign(pending, { due, out: false });
  }

  /** Those to be told now, which from here on count as being told. */
  take(now: number): number[] {
    const taken: number[] = [];
    let room = MAX_AT_A_TIME - this.out;
    for (const [seq, pending] of this.#pending) {
      if (room === 0) break;
      if (pending.out || pending.due > now) continue;
      pending.out = true;
      taken.push(seq);
      room--;
    }
    return taken;
  }

  /** When the next one is to be told; undefined while there is none, or no room. */
  get nextDue(): number | undefined {
    if (this.out >= MAX_AT_A_TIME) return undefined;
    let next: number | undefined;
    for (const { due, out } of this.#pending.values()) if (!out) next = Math.min(due, next ?? due);
    return next;
  }
}

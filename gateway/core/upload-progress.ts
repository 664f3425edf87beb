/** An upload that has come to no end in this time is slow even if its first part came fast. */
const WINDOW_MS = 2000;
/** Nothing for so long is a standstill. */
const STALLED_MS = 1000;

interface Mark {
  readonly at: number;
  readonly bytes: number;
}

/** How an upload gets on, as far as it matters to others. Times are in milliseconds of one clock. */
export class UploadProgress {
  #bytes = 0;
  #lastAt: number;
  /** One or two windows ago, and less than one. */
  #before: Mark;
  #latest: Mark;

  constructor(now: number) {
    this.#lastAt = now;
    this.#before = { at: now, bytes: 0 };
    this.#latest = this.#before;
  }

  /** That have arrived. */
  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number, now: number): void {
    if (now - this.#latest.at >= WINDOW_MS) {
      this.#before = this.#latest;
      this.#latest = { at: now, bytes: this.#bytes };
    }
    this.#bytes += bytes;
    this.#lastAt = now;
  }

  /** Milliseconds without any progress; 0 while that is nothing out of the way. */
  stalledMs(now: number): number {
    const silentMs = now - this.#lastAt;
    return silentMs < STALLED_MS ? 0 : silentMs;
  }

  /** Bytes a millisecond of late. */
  speed(now: number): number {
    return (this.#bytes - this.#before.bytes) / Math.max(1, now - this.#before.at);
  }
}

/**
 * Which of several uploads is to go when not all of them have room: the one that has stood still for longest, and if
 * all move, the slowest. Those that hold nothing are of no use there.
 */
export function chooseToGiveUp<U extends { readonly progress: UploadProgress }>(
  uploads: Iterable<U>,
  now: number,
): U | undefined {
  let worst: { readonly upload: U; readonly stalledMs: number; readonly speed: number } | undefined;
  for (const upload of uploads) {
    const { progress } = upload;
    if (progress.bytes === 0) continue;
    const stalledMs = progress.stalledMs(now);
    const speed = progress.speed(now);
    const isWorse = !worst || stalledMs > worst.stalledMs || (stalledMs === worst.stalledMs && speed < worst.speed);
    if (isWorse) worst = { upload, stalledMs, speed };
  }
  return worst?.upload;
}

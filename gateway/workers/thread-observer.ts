import type { CallHead, CallObserver, CallRecord } from "../telemetry/call-record.ts";

/** Watches the calls of one thread for the main one, which writes down and exports what is told of them. */
export class ThreadObserver implements CallObserver {
  readonly #watch: CallObserver;
  readonly #ahead: number;
  readonly #post: (record: CallRecord) => void;

  /**
   * @param watch begins the records
   * @param timeOrigin where the clock of the main thread begins, as of `performance.timeOrigin`
   */
  constructor(watch: CallObserver, timeOrigin: number, post: (record: CallRecord) => void) {
    this.#watch = watch;
    this.#ahead = performance.timeOrigin - timeOrigin;
    this.#post = post;
  }

  begin(head: CallHead): CallRecord {
    return this.#watch.begin(head);
  }

  upstreamHeaders(record: CallRecord, headers: string[]): string[] {
    return this.#watch.upstreamHeaders(record, headers);
  }

  end(record: CallRecord): void {
    const { arrivedAt, heldAt, sentAt, firstByteAt, endedAt = performance.now() } = record;
    this.#post({
      ...record,
      arrivedAt: arrivedAt + this.#ahead,
      heldAt: this.#shift(heldAt),
      sentAt: this.#shift(sentAt),
      firstByteAt: this.#shift(firstByteAt),
      endedAt: endedAt + this.#ahead,
    } as CallRecord);
  }

  #shift(at: number | undefined): number | undefined {
    return at === undefined ? undefined : at + this.#ahead;
  }
}

import type { StoredEvent } from "../event-store.ts";

/** What an event takes beside its data, about. */
const HEAD_BYTES = 1024;

/** Events that were appended or read a while ago, so that those that are delivered at once need not be read again. */
export class EventCache {
  readonly #maxBytes: number;
  readonly #events = new Map<number, StoredEvent>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  set(seq: number, event: StoredEvent): void {
    if (this.#events.has(seq)) return;
    this.#events.set(seq, event);
    this.#bytes += costOf(event);
    for (const [oldest, { event: data }] of this.#events) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#events.delete(oldest);
      this.#bytes -= HEAD_BYTES + (data.data?.byteLength ?? 0);
    }
  }

  get(seq: number): StoredEvent | undefined {
    return this.#events.get(seq);
  }

  clear(): void {
    this.#events.clear();
    this.#bytes = 0;
  }
}

function costOf({ event }: StoredEvent): number {
  return HEAD_BYTES + (event.data?.byteLength ?? 0);
}

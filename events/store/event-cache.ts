import type { StoredEvent } from "./event-store.ts";

/** What an event takes beside its data, about. */
const HEAD_BYTES = 1024;

/** Events that were appended or read a while ago, so that those that are delivered at once need not be read again. */
export class EventCache<Key> {
  readonly #maxBytes: number;
  readonly #events = new Map<Key, StoredEvent>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  set(key: Key, event: StoredEvent): void {
    if (this.#events.has(key)) return;
    this.#events.set(key, event);
    this.#bytes += costOf(event);
    for (const oldest of this.#events.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.remove(oldest);
    }
  }

  get(key: Key): StoredEvent | undefined {
    return this.#events.get(key);
  }

  remove(key: Key): void {
    const event = this.#events.get(key);
    if (!event) return;
    this.#events.delete(key);
    this.#bytes -= costOf(event);
  }

  clear(): void {
    this.#events.clear();
    this.#bytes = 0;
  }
}

function costOf({ event }: StoredEvent): number {
  return HEAD_BYTES + (event.data?.byteLength ?? 0);
}

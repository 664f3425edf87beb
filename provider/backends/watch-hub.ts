import type { EndpointsEvent, FunctionEndpoints } from "../../contract/endpoints.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { Notifier } from "./notifier.ts";

type Change = Extract<EndpointsEvent, { type: "changed" | "removed" }>;

/** The present snapshot of all functions, and those who follow it. */
export class WatchHub {
  readonly #snapshot = new Map<string, FunctionEndpoints>();
  readonly #readers = new Set<Reader>();
  readonly #ended = new AbortController();

  /** Tells every reader, unless nothing is new. */
  publish(seen: FunctionEndpoints): void {
    const key = qualifiedName(seen);
    const known = this.#snapshot.get(key);
    if (known && JSON.stringify(known) === JSON.stringify(seen)) return;
    this.#snapshot.set(key, seen);
    this.#tell(key, { type: "changed", function: seen });
  }

  remove(ref: FunctionRef): void {
    const key = qualifiedName(ref);
    const known = this.#snapshot.get(key);
    if (!known) return;
    this.#snapshot.delete(key);
    this.#tell(key, { type: "removed", function: { ...known, replicas: 0, endpoints: [] } });
  }

  /** Whether anybody follows. */
  get isFollowed(): boolean {
    return this.#readers.size > 0;
  }

  /** Ends all streams. */
  end(): void {
    this.#ended.abort();
  }

  /** See `Backend.watch`. */
  async *watch(reader: AbortSignal): AsyncGenerator<EndpointsEvent> {
    const signal = AbortSignal.any([reader, this.#ended.signal]);
    if (signal.aborted) return;
    const own: Reader = { changes: new Map(), notifier: new Notifier() };
    // Taken together, so that no change falls between the snapshot and the changes to it.
    this.#readers.add(own);
    const snapshot = [...this.#snapshot.values()];
    try {
      for (const seen of snapshot) {
        if (signal.aborted) return;
        yield { type: "snapshot", function: seen };
      }
      yield { type: "heartbeat" };
      while (!signal.aborted) {
        const version = own.notifier.version;
        for (const [key, change] of own.changes) {
          own.changes.delete(key);
          yield change;
          if (signal.aborted) return;
        }
        await own.notifier.after(version, signal);
      }
    } finally {
      this.#readers.delete(own);
    }
  }

  #tell(key: string, change: Change): void {
    for (const { changes, notifier } of this.#readers) {
      // Only the newest state of a function matters, so a slow reader costs one entry per function at most. It goes to
      // the end, to be sent after what happened before it.
      changes.delete(key);
      changes.set(key, change);
      notifier.notify();
    }
  }
}

interface Reader {
  readonly changes: Map<string, Change>;
  readonly notifier: Notifier;
}

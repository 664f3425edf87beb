import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import type { EventResource, ResourceKind, ResourceStore } from "./resource-store.ts";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/** All documents of a kind, kept current. While the store is away, they are as they were. */
export class FollowedDocuments {
  /** Resolves with the first look at them. */
  readonly ready: Promise<void>;
  readonly #resources: Pick<ResourceStore, "list" | "watch">;
  readonly #kind: ResourceKind;
  readonly #log: Pick<Logger, "warn">;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #unwatch: () => void;
  #documents: readonly EventResource[] = [];
  #looking: Promise<void> | undefined;
  /** The look that begins when the one under way is over. */
  #next: Promise<void> | undefined;

  constructor(resources: Pick<ResourceStore, "list" | "watch">, kind: ResourceKind, log: Pick<Logger, "warn">) {
    this.#resources = resources;
    this.#kind = kind;
    this.#log = log;
    this.#unwatch = resources.watch(kind, () => void this.refresh());
    this.ready = this.refresh();
  }

  get all(): readonly EventResource[] {
    return this.#documents;
  }

  /** Resolves once they are no older than this call. */
  refresh(): Promise<void> {
    if (!this.#looking) {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
      return this.#looking;
    }
    this.#next ??= this.#looking.then(() => {
      this.#next = undefined;
      return this.refresh();
    });
    return this.#next;
  }

  async #look(): Promise<void> {
    let waitMs = FIRST_WAIT_MS;
    let told = false;
    while (!this.#closing.signal.aborted) {
      try {
        this.#documents = await this.#resources.list(this.#kind);
        break;
      } catch (err) {
        if (!told && !this.#closing.signal.aborted) {
          this.#log.warn({ err, kind: this.#kind }, "documents of events cannot be read; trying again");
        }
        told = true;
        await sleep(waitMs * (0.5 + Math.random() / 2), this.#closing.signal);
        waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      }
    }
    if (!this.#closing.signal.aborted) for (const listener of this.#listeners) listener();
  }

  /** @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#unwatch();
    this.#closing.abort();
  }
}

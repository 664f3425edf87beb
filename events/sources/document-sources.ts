import { toFaasError } from "../../contract/errors.ts";
import { decodeSourceSpec } from "../../contract/events/source-spec.ts";
import { keepTrying } from "../../kit/keep-trying.ts";
import type { Logger } from "../../kit/log.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import type { DeclaredSource, SourceSet } from "./declared-source.ts";

const WAIT_MS = [500, 15_000] as const;

/** Sources that are declared by documents. */
export class DocumentSources implements SourceSet {
  readonly ready: Promise<void>;
  #all: readonly DeclaredSource[] = [];
  #isReady: () => void = () => {};
  readonly #resources: Pick<ResourceStore, "list" | "watch">;
  readonly #log: Pick<Logger, "warn">;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #unwatch: () => void;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(resources: Pick<ResourceStore, "list" | "watch">, log: Pick<Logger, "warn">) {
    this.#resources = resources;
    this.#log = log;
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    this.#unwatch = resources.watch("source", () => this.#readSoon());
    this.#readSoon();
  }

  get all(): readonly DeclaredSource[] {
    return this.#all;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#unwatch();
    this.#closing.abort();
    await this.#reading;
  }

  /** Changes while it reads have it read once more. */
  #readSoon(): void {
    this.#again = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
      if (this.#again && !this.#closing.signal.aborted) this.#readSoon();
    });
  }

  async #readAll(): Promise<void> {
    const attempt = async () => {
      this.#again = false;
      try {
        this.#all = (await this.#resources.list("source")).map(readDocument);
        return true;
      } catch (err) {
        this.#log.warn({ err }, "the declared sources cannot be read; trying again");
        return false;
      }
    };
    await keepTrying(attempt, WAIT_MS, this.#closing.signal);
    if (this.#closing.signal.aborted) return;
    for (const listener of this.#listeners) listener();
    this.#isReady();
  }
}

/** A document as a source; one that cannot be read, as an older or newer program may have written it, says why. */
export function readDocument({ namespace, name, spec }: EventResource): DeclaredSource {
  const id = documentId(namespace, name);
  try {
    return { id, namespace, name, ...decodeSourceSpec(spec) };
  } catch (error) {
    const nothing = { type: "", broker: "", suspend: false, attributes: {}, settings: {} };
    return { id, namespace, name, ...nothing, problem: toFaasError(error).message };
  }
}

export function documentId(namespace: string, name: string): string {
  return `source/${namespace}/${name}`;
}

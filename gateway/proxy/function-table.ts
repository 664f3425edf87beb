import { EventEmitter, once } from "node:events";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { WaitLimits } from "../../contract/timeouts.ts";
import type { FunctionEvent, KnownFunction } from "../core/known-function.ts";
import { FunctionEntry, type FunctionEntryOptions } from "./function-entry.ts";
import type { UpstreamOptions } from "./replica.ts";
import { StartupTallies } from "./startup-tallies.ts";
import { VersionLinks } from "./version-links.ts";

export interface FunctionTableOptions extends UpstreamOptions, WaitLimits, Pick<FunctionEntryOptions, "shareTurns"> {
  /** Namespace of names written without one. */
  readonly defaultNamespace: string;
  /** Calls of one function that may wait for a replica. */
  readonly maxHeld: number;
}

/** The gateway's snapshot of all functions, kept current by what the provider tells. */
export class FunctionTable {
  /** Of all functions, those included that are gone. */
  readonly startups = new StartupTallies();
  readonly #options: FunctionTableOptions;
  /**
   * By `name.namespace`, and by bare `name` for the default namespace: the two ways a URL writes it. Versions beside a
   * function are named `name@version`; its tags and main version lead to the same entries.
   */
  readonly #byTarget = new Map<string, FunctionEntry>();
  readonly #versions: VersionLinks;
  /** Functions that the snapshot under way has named; undefined once it is whole. */
  #seen: Set<FunctionEntry> | undefined = new Set();
  #synced = false;
  readonly #firstSync = Promise.withResolvers<void>();
  readonly #arrivals = new EventEmitter<Record<string, [FunctionEntry]>>();
  readonly #listeners = new Set<(ref: FunctionRef) => void>();

  constructor(options: FunctionTableOptions) {
    this.#options = options;
    this.#versions = new VersionLinks(this.#byTarget, options.defaultNamespace);
  }

  /** Namespace of names written without one. */
  get defaultNamespace(): string {
    return this.#options.defaultNamespace;
  }

  /** Whether a complete snapshot has arrived since the start; until then an unknown function may yet exist. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves with the first complete snapshot. */
  get whenSynced(): Promise<void> {
    return this.#firstSync.promise;
  }

  /** @param target `name` or `name.namespace`, with `@version` or `@tag` after the name or without */
  find(target: string): FunctionEntry | undefined {
    return this.#byTarget.get(target);
  }

  /** The function as soon as the table has it; undefined when that is not within `timeoutMs`. */
  async waitFor(target: string, timeoutMs: number): Promise<FunctionEntry | undefined> {
    const known = this.find(target);
    if (known) return known;
    try {
      await once(this.#arrivals, target, { signal: AbortSignal.timeout(timeoutMs) });
    } catch {
      return undefined; // the time is over; `once` rejects for nothing else here
    }
    return this.find(target);
  }

  /** Each function once, and each version beside one. */
  *entries(): Generator<FunctionEntry> {
    for (const [target, entry] of this.#byTarget) if (target === entry.qualifiedName) yield entry;
  }

  /**
   * Calls `listener` after each news of a function, its removal too.
   * @returns ends that
   */
  onChange(listener: (ref: FunctionRef) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A new stream begins: what its snapshots leave out is gone. The old snapshot serves until they are complete. */
  beginSnapshot(): void {
    this.#seen = new Set();
  }

  apply(event: FunctionEvent): void {
    if (event.type !== "snapshot") this.#endSnapshot();
    if (event.type === "removed") this.#remove(qualifiedName(event.function));
    else if (event.type !== "heartbeat") this.#put(event.function);
  }

  /** The provider answers again, after it did not. */
  retryProvider(): void {
    for (const entry of this.entries()) entry.retryProvider();
  }

  #put(snapshot: KnownFunction): void {
    let entry = this.findOwn(qualifiedName(snapshot));
    if (!entry) {
      entry = new FunctionEntry(snapshot, { ...this.#options, startups: this.startups });
      this.#byTarget.set(entry.qualifiedName, entry);
      this.#arrivals.emit(entry.qualifiedName, entry);
      if (snapshot.namespace === this.#options.defaultNamespace) {
        this.#byTarget.set(snapshot.name, entry);
        this.#arrivals.emit(snapshot.name, entry);
      }
    }
    this.#seen?.add(entry);
    entry.update(snapshot);
    this.#versions.update(entry);
    this.#tell(entry);
  }

  /** What has this name itself, and is not only found by it as well. @param name `name.namespace` */
  findOwn(name: string): FunctionEntry | undefined {
    const entry = this.#byTarget.get(name);
    return entry?.qualifiedName === name ? entry : undefined;
  }

  #tell(ref: FunctionRef): void {
    for (const listener of this.#listeners) listener(ref);
  }

  #endSnapshot(): void {
    const seen = this.#seen;
    if (!seen) return;
    this.#seen = undefined;
    this.#synced = true;
    this.#firstSync.resolve();
    for (const entry of [...this.entries()]) if (!seen.has(entry)) this.#remove(entry.qualifiedName);
  }

  #remove(name: string): void {
    const entry = this.findOwn(name);
    if (!entry) return;
    this.#byTarget.delete(name);
    if (this.#byTarget.get(entry.name) === entry) this.#byTarget.delete(entry.name);
    entry.remove(this.#versions.remove(entry));
    this.#tell(entry);
  }

  /** Cuts every connection to every function. */
  async close(): Promise<void> {
    await Promise.all([...this.entries()].map((entry) => entry.destroy()));
    await this.#options.providerProxy?.destroy();
  }
}

import type { EndpointsEvent } from "../../contract/endpoints.ts";
import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { keepTrying } from "../../kit/keep-trying.ts";
import type { Logger } from "../../kit/log.ts";
import { within } from "../../kit/within.ts";
import type { Backend, VersionStore } from "../backends/backend.ts";
import type { FunctionTurns } from "./function-turns.ts";
import type { VersionKeeper } from "./version-keeper.ts";
import type { VersionView } from "./version-view.ts";

export interface FollowParts {
  readonly backend: Pick<Backend, "watch">;
  readonly store: VersionStore;
  readonly view: VersionView;
  readonly keeper: VersionKeeper;
  readonly turns: FunctionTurns;
  readonly log: Logger;
  readonly now: () => number;
}

/** Versions that nothing refers to go so often, also where nobody deploys. */
const SWEEP_EVERY_MS = 3_600_000;
const RETRY_MS = [1_000, 60_000] as const;
const STOP_MS = 2_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Follows the backend and what is kept of versions, and has functions looked after whenever something of theirs changes. */
export class Follow {
  readonly #parts: FollowParts;
  readonly #stopping = new AbortController();
  readonly #ending = new AbortController();
  /** Resolves when all that the backend had at the start is known. */
  readonly #complete = Promise.withResolvers<void>();
  #isComplete = false;
  readonly #pending = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #failures = new Map<string, number>();
  readonly #unfollow: () => void;
  readonly #sweeps: NodeJS.Timeout;
  readonly #following: Promise<void>;

  constructor(parts: FollowParts) {
    this.#parts = parts;
    this.#unfollow = parts.store.follow((ref, versions) => {
      parts.view.keep(ref, versions);
      this.kick(ref);
    });
    this.#sweeps = setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref();
    this.#following = keepTrying(() => this.#follow(), RETRY_MS, this.#ending.signal);
  }

  /** See `Backend.watch`. */
  async *watch(signal: AbortSignal): AsyncGenerator<EndpointsEvent> {
    const left = Promise.withResolvers<void>();
    const leave = () => left.resolve();
    signal.addEventListener("abort", leave, { once: true });
    await Promise.race([this.#complete.promise, left.promise]);
    signal.removeEventListener("abort", leave);
    if (!signal.aborted) yield* this.#parts.view.hub.watch(signal);
  }

  /** Has the function looked after soon; many orders of one moment are one. */
  kick(ref: FunctionRef): void {
    const key = qualifiedName(ref);
    if (!this.#isComplete || this.#stopping.signal.aborted || this.#pending.has(key)) return;
    this.#pending.add(key);
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    void this.#parts.turns.take(key, () => this.#lookAfter(ref, key));
  }

  /** Nothing is changed any more; readers are still told what happens. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unfollow();
    clearInterval(this.#sweeps);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    // What takes longer is cut by the backend's own end; the next start goes on with it.
    await within(STOP_MS, this.#parts.turns.end());
  }

  /** Ends all streams. */
  async end(): Promise<void> {
    this.#ending.abort();
    this.#complete.resolve();
    this.#parts.view.hub.end();
    await this.#following;
  }

  /** @returns true when the stream has ended for good */
  async #follow(): Promise<boolean> {
    const { backend, view, log } = this.#parts;
    const names = new Set<string>();
    let isWhole = false;
    try {
      for await (const event of backend.watch(this.#ending.signal)) {
        if (event.type === "heartbeat") {
          if (!isWhole) this.#begin(names);
          isWhole = true;
          continue;
        }
        if (!isWhole) names.add(qualifiedName(event.function));
        const { ref, redeployed } = view.apply(event);
        if (redeployed || view.besideOf(ref).length > 0) this.kick(ref);
      }
    } catch (err) {
      if (!this.#stopping.signal.aborted) log.warn({ err }, "the backend's endpoints were lost; following them again");
    }
    if (!this.#stopping.signal.aborted) return false;
    view.hub.end();
    return true;
  }

  #begin(names: ReadonlySet<string>): void {
    const { view } = this.#parts;
    view.retain(names);
    this.#isComplete = true;
    this.#complete.resolve();
    for (const ref of view.refs()) this.kick(ref);
  }

  async #lookAfter(ref: FunctionRef, key: string): Promise<void> {
    const { keeper, log, now } = this.#parts;
    // What comes from here on is another cause.
    this.#pending.delete(key);
    if (this.#stopping.signal.aborted) return;
    try {
      const at = await keeper.reconcile(ref);
      this.#failures.delete(key);
      if (at !== undefined) this.#lookLater(ref, key, at - now() + 1);
    } catch (err) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const isStale = err instanceof FaasError && err.kind === "conflict";
      if (!isStale && failures === 1)
        log.warn({ function: ref.name, namespace: ref.namespace, err }, "could not bring a function to its versions");
      this.#lookLater(ref, key, Math.min(RETRY_MS[0] * 2 ** (failures - 1), RETRY_MS[1]));
    }
  }

  #lookLater(ref: FunctionRef, key: string, afterMs: number): void {
    if (this.#stopping.signal.aborted || this.#pending.has(key)) return;
    clearTimeout(this.#timers.get(key));
    const timer = setTimeout(() => this.kick(ref), Math.min(Math.max(afterMs, 1), MAX_TIMER_MS)).unref();
    this.#timers.set(key, timer);
  }

  #sweep(): void {
    const { view, turns, keeper, log } = this.#parts;
    for (const ref of view.refs()) {
      const sweep = turns.take(qualifiedName(ref), () => keeper.sweep(ref));
      sweep.catch((err) => log.warn({ function: ref.name, namespace: ref.namespace, err }, "could not drop versions"));
    }
  }
}

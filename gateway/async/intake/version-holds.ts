import { FaasError } from "../../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { versionedName } from "../../../contract/versions/version-name.ts";
import type { Logger } from "../../../kit/log.ts";
import { steadyNow } from "../../../kit/steady-clock.ts";
import { within } from "../../../kit/within.ts";

export interface VersionHoldsOptions {
  /** @throws {FaasError} */
  hold(ref: FunctionRef, version: string, until: number): Promise<void>;
  readonly log: Pick<Logger, "warn">;
  /** Milliseconds that only go forward. */
  readonly now?: () => number;
  /** Longest wait for the provider; a second unless given. */
  readonly waitMs?: number;
}

/** How long after its time a call may still be tried again. */
const KEEP_MS = 24 * 3_600_000;
/** Held for longer than asked, so that the provider is not asked for every call. */
const AHEAD_MS = 3_600_000;
/** What the provider has said is taken for true so long: the function may be another one by then. */
const TRUST_MS = 600_000;
/** After a failure, so long nobody is asked. */
const PAUSE_MS = 60_000;
/** Versions that calls were accepted for lately. */
const MAX_KNOWN = 10_000;

interface Held {
  readonly until: number;
  readonly askedAt: number;
}

/** Has versions kept for the calls that are accepted for them. */
export class VersionHolds {
  readonly #options: VersionHoldsOptions;
  readonly #now: () => number;
  readonly #waitMs: number;
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<void>>();
  #pausedUntil = 0;

  constructor(options: VersionHoldsOptions) {
    this.#options = options;
    this.#now = options.now ?? steadyNow;
    this.#waitMs = options.waitMs ?? 1_000;
  }

  /**
   * Resolves when the version is held for a call that is made at `dueAt`. Where that fails the call is accepted all the same:
   * the version that serves takes it, should its own be gone by then.
   */
  async want(ref: FunctionRef, version: string, dueAt: number): Promise<void> {
    const key = qualifiedName({ ...ref, name: versionedName(ref.name, version) });
    const until = dueAt + KEEP_MS;
    // What another call has asked for may not last long enough for this one.
    for (let round = 0; round < 2 && !this.#isHeld(key, until) && this.#now() >= this.#pausedUntil; round++) {
      const asking = this.#asking.get(key) ?? this.#ask(ref, version, key, until + AHEAD_MS);
      this.#asking.set(key, asking);
      await within(this.#waitMs, asking);
      // A provider that is silent does not hold up the calls that follow.
      if (this.#asking.get(key) === asking) this.#pausedUntil = this.#now() + PAUSE_MS;
    }
  }

  #isHeld(key: string, until: number): boolean {
    const held = this.#held.get(key);
    return held !== undefined && held.until >= until && this.#now() - held.askedAt < TRUST_MS;
  }

  async #ask(ref: FunctionRef, version: string, key: string, until: number): Promise<void> {
    const askedAt = this.#now();
    try {
      await this.#options.hold(ref, version, until).catch((error) => {
        // It is gone, or nobody keeps versions: there is nothing to hold.
        if (!(error instanceof FaasError) || error.kind !== "notFound") throw error;
      });
      if (this.#held.size >= MAX_KNOWN) this.#held.clear();
      this.#held.set(key, { until, askedAt });
    } catch (err) {
      this.#pausedUntil = this.#now() + PAUSE_MS;
      this.#options.log.warn({ function: ref.name, version, err }, "could not have a version kept for calls");
    } finally {
      this.#asking.delete(key);
    }
  }
}

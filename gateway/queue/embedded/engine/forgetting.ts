import type { EmbeddedStore } from "../db/store.ts";
import type { EmbeddedSettings } from "../protocol.ts";
import type { Draft } from "./draft.ts";

/** How long it is known at least what became of a call. */
const MIN_KNOWN_MS = 60_000;

/** Lets go what is remembered of calls that have ended. Works inside a transaction and on its draft. */
export class EmbeddedForgetting {
  readonly #store: EmbeddedStore;
  readonly #settings: EmbeddedSettings;
  /** How long it is known what became of a call. */
  readonly knownMs: number;

  constructor(store: EmbeddedStore, settings: EmbeddedSettings) {
    this.#store = store;
    this.#settings = settings;
    this.knownMs = Math.max(MIN_KNOWN_MS, settings.resultTtlMs);
  }

  /** Forgets up to about `budget` calls that ended long ago, or of which there are too many. */
  forget(budget: number, draft: Draft): void {
    const { maxFinished, maxFinishedBytes } = this.#settings;
    for (let dropped = 0; draft.finishedBytes > maxFinishedBytes && dropped < budget; dropped++) {
      const bytes = this.#store.history.dropOldestResult();
      if (bytes === undefined) break;
      draft.finishedBytes -= bytes;
    }
    if (draft.finished <= maxFinished && (draft.forgetAt === undefined || draft.forgetAt > draft.sure)) return;
    const oldest = this.#store.history.oldest(budget);
    // What is left beyond these is to be looked at again at once.
    draft.forgetAt = oldest.length < budget ? undefined : draft.sure;
    let left = budget;
    for (const { seq, endedAt } of oldest) {
      if (draft.finished <= maxFinished && endedAt + this.knownMs > draft.sure) {
        draft.forgetAt = endedAt + this.knownMs;
        break;
      }
      left -= this.forgetOne(seq, left, draft);
      if (left > 0) continue;
      draft.forgetAt = draft.sure;
      break;
    }
  }

  /**
   * Forgets a call that has ended; of a batch first its members, and itself once there are none left.
   * @param budget of calls
   * @returns how many it took
   */
  forgetOne(seq: number, budget: number, draft: Draft): number {
    const { batches } = this.#store;
    const batch = batches.find(seq);
    const members = batch ? batches.members(seq, -1, Math.min(batch.progress.size, budget)) : [];
    for (const member of members) {
      this.#forgetCall(member.seq, draft);
      batches.forgetMember(seq, member.index);
    }
    if (batch && members.length === budget) return budget;
    this.#forgetCall(seq, draft);
    if (batch) batches.forget(seq);
    return members.length + 1;
  }

  #forgetCall(seq: number, draft: Draft): void {
    const bytes = this.#store.history.forget(seq);
    if (bytes === undefined) return;
    draft.finished--;
    draft.finishedBytes -= bytes;
  }

  /** Makes room for what is more important than results. */
  dropResults(limit: number, draft: Draft): void {
    for (let dropped = 0; dropped < limit; dropped++) {
      const bytes = this.#store.history.dropOldestResult();
      if (bytes === undefined) return;
      draft.finishedBytes -= bytes;
    }
  }
}

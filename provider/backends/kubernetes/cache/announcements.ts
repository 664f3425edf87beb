/** A replica that said that it listens. Times are milliseconds since the epoch, by our own clock. */
export interface HeardAnnouncement {
  /** `name.namespace` of the function whose token it had. */
  readonly owner: string;
  /** The caller's own. */
  readonly address: string;
  readonly startedAt: number;
  readonly listeningAt: number;
  readonly heardAt: number;
}

/** A pod shows in the API long before it runs, so these are providers that are behind, or nonsense. */
const HELD_MS = 10_000;
const MAX_HELD = 1_000;
/** Who has a function's token can make up pods, and must not push out those of others. */
const MAX_HELD_PER_FUNCTION = 100;

/** Announcements of pods that are not known yet, for a short time. */
export class Announcements {
  /** By the pod's key, oldest first. */
  readonly #held = new Map<string, HeardAnnouncement>();
  readonly #counts = new Map<string, number>();

  hold(pod: string, announcement: HeardAnnouncement): void {
    this.#expire(announcement.heardAt);
    this.#drop(pod);
    const count = this.#counts.get(announcement.owner) ?? 0;
    if (this.#held.size >= MAX_HELD || count >= MAX_HELD_PER_FUNCTION) return;
    this.#held.set(pod, announcement);
    this.#counts.set(announcement.owner, count + 1);
  }

  /** What a pod that has come to be known said before; undefined when the function was another. */
  take(pod: string, owner: string, now: number): HeardAnnouncement | undefined {
    if (this.#held.size === 0) return undefined;
    this.#expire(now);
    const found = this.#held.get(pod);
    this.#drop(pod);
    return found?.owner === owner ? found : undefined;
  }

  get size(): number {
    return this.#held.size;
  }

  #expire(now: number): void {
    for (const [pod, { heardAt }] of this.#held) {
      if (now - heardAt < HELD_MS) return;
      this.#drop(pod);
    }
  }

  #drop(pod: string): void {
    const held = this.#held.get(pod);
    if (!held) return;
    this.#held.delete(pod);
    const left = (this.#counts.get(held.owner) ?? 1) - 1;
    if (left > 0) this.#counts.set(held.owner, left);
    else this.#counts.delete(held.owner);
  }
}

import type { Logger } from "../../kit/log.ts";
import type { EventStore } from "../store/event-store.ts";
import type { Triggers } from "../triggers/triggers.ts";

export interface UnknownTriggersOptions {
  readonly store: Pick<EventStore, "drop">;
  readonly triggers: Pick<Triggers, "find" | "all" | "onChange">;
  /** How long what waits for a trigger that is gone is kept, in milliseconds. */
  readonly graceMs: number;
  /** Called when one is gone: one of its name that comes later is another. */
  readonly forget: (trigger: string) => void;
  readonly log: Pick<Logger, "info" | "warn">;
}

const LOOKS_PER_GRACE = 5;

/** Triggers that deliveries wait for and that nobody knows: after a while, what waits for them is dropped. */
export class UnknownTriggers {
  readonly #options: UnknownTriggersOptions;
  /** Since when, by a clock that only goes forward. */
  readonly #since = new Map<string, number>();
  #known = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #endChanges: (() => void) | undefined;

  constructor(options: UnknownTriggersOptions) {
    this.#options = options;
  }

  /** All triggers are known now: one that is not there is gone. */
  begin(): void {
    const { triggers, graceMs } = this.#options;
    this.#known = new Set(triggers.all.map(({ id }) => id));
    this.#endChanges = triggers.onChange(() => this.#compare());
    this.#timer = setInterval(() => void this.#look(), Math.max(10, graceMs / LOOKS_PER_GRACE)).unref();
  }

  /** A delivery waits for it, and it is not there. */
  met(id: string): void {
    if (this.#timer && !this.#since.has(id)) this.#since.set(id, performance.now());
  }

  #compare(): void {
    const now = new Set(this.#options.triggers.all.map(({ id }) => id));
    for (const id of this.#known) {
      if (now.has(id)) continue;
      this.met(id);
      this.#options.forget(id);
    }
    this.#known = now;
  }

  async #look(): Promise<void> {
    const { store, triggers, graceMs, log } = this.#options;
    for (const [trigger, since] of [...this.#since]) {
      if (triggers.find(trigger)) this.#since.delete(trigger);
      else if (performance.now() - since >= graceMs) {
        try {
          const dropped = await store.drop(trigger, "its trigger is gone");
          this.#since.delete(trigger);
          if (dropped > 0) log.info({ trigger, dropped }, "what waited for a trigger that is gone has been dropped");
        } catch (err) {
          log.warn({ err, trigger }, "what waits for a trigger that is gone cannot be dropped; trying again");
        }
      }
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#endChanges?.();
  }
}

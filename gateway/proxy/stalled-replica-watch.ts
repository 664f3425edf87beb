import type { FunctionRef } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";

/** A function with calls. */
export interface MonitoredFunction extends FunctionRef {
  /** The longest that a replica of it has let somebody wait for a word, in milliseconds. */
  silentMs(now: number): number;
}

export interface StalledReplicaWatchOptions {
  readonly functions: () => Iterable<MonitoredFunction>;
  /** Reports to the provider that calls are waiting. */
  readonly expedite: (ref: FunctionRef) => Promise<void>;
  readonly log: Pick<Logger, "debug">;
}

const LOOK_EVERY_MS = 1_000;
/** Of a replica that says nothing for so long the provider should make sure that it is well. */
const SILENT_MS = 2_000;
/** Functions whose calls take long are silent for a good reason. */
const AGAIN_MS = 10_000;
/** Told at a time. */
const AT_A_TIME = 5;

/** Asks the provider to probe replicas that do not answer: it probes the others only seldom. */
export class StalledReplicaWatch {
  readonly #options: StalledReplicaWatchOptions;
  readonly #reportedAt = new Map<MonitoredFunction, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: StalledReplicaWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(performance.now()), LOOK_EVERY_MS).unref();
  }

  /** @param now by the clock of the functions */
  look(now: number): void {
    const { functions, expedite, log } = this.#options;
    for (const [known, at] of this.#reportedAt) if (now - at >= AGAIN_MS) this.#reportedAt.delete(known);
    let reported = 0;
    for (const one of functions()) {
      if (one.silentMs(now) < SILENT_MS || this.#reportedAt.has(one)) continue;
      this.#reportedAt.set(one, now);
      const { name, namespace } = one;
      expedite({ name, namespace }).catch((err: unknown) => {
        log.debug({ function: name, namespace, err }, "could not report a stalled function to the provider");
      });
      if (++reported === AT_A_TIME) return;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
  }
}

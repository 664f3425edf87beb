import { setTimeout as delay } from "node:timers/promises";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";

/** A function that calls wait for. */
export interface Sleeper {
  readonly snapshot: FunctionEndpoints;
  readonly readyReplicas: number;
  readonly held: { readonly count: number; fail(error: FaasError): void };
}

export interface WakerOptions<S extends Sleeper> {
  readonly scale: (ref: FunctionRef, replicas: number) => Promise<void>;
  /** Calls wait although replicas are wanted: they are to come before others that nobody waits for. */
  readonly hurry?: (ref: FunctionRef) => Promise<void>;
  /** Replicas that the calls held now need; 0 for none. */
  readonly wanted: (sleeper: S) => number;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** Between two looks at how many calls wait, and between two tries. */
const AGAIN_MS = 100;
/** How often the provider is told that calls wait for replicas that it is to start. */
const HURRY_EVERY_MS = 5_000;
/** An order that has not been seen for so long is given again; someone else may have undone it. */
const UNSEEN_MS = 2000;

/** Asks the provider to start functions at zero when a call comes; one request at a time per function. */
export class Waker<S extends Sleeper> {
  readonly #options: WakerOptions<S>;
  readonly #waking = new Set<S>();

  constructor(options: WakerOptions<S>) {
    this.#options = options;
  }

  /** For a call that is held because no replica is ready. Does nothing while replicas are on their way. */
  wake(sleeper: S): void {
    if (this.#waking.has(sleeper)) return;
    this.#waking.add(sleeper);
    // Calls that arrived together are all held by then.
    setImmediate(() => void this.#run(sleeper).finally(() => this.#waking.delete(sleeper)));
  }

  /**
   * Looks on until a replica is there or nobody waits any longer: each held call has its own deadline. Whenever none
   * is wanted it asks, also when someone has sent the function to sleep meanwhile, and for more when more calls come.
   */
  async #run(sleeper: S): Promise<void> {
    const { log } = this.#options;
    /** Not seen in the snapshot yet. */
    let asked = 0;
    let askedAt = 0;
    let askedOf: FunctionEndpoints | undefined;
    let hurriedAt = Number.NEGATIVE_INFINITY;
    while (sleeper.held.count > 0 && sleeper.readyReplicas === 0) {
      const { name, namespace, replicas } = sleeper.snapshot;
      // Another snapshot with none wanted: the order was carried out and undone, or somebody else's came after it.
      const undone = replicas === 0 && sleeper.snapshot !== askedOf;
      if (undone || replicas >= asked || performance.now() - askedAt > UNSEEN_MS) asked = 0;
      const wanted = replicas === 0 ? this.#options.wanted(sleeper) : 0;
      if (wanted > asked) {
        askedOf = sleeper.snapshot;
        try {
          await this.#options.scale({ name, namespace }, wanted);
          [asked, askedAt] = [wanted, performance.now()];
          log.info({ function: name, namespace, waiting: sleeper.held.count, wanted }, "woke function for calls");
        } catch (err) {
          log.warn({ function: name, namespace, err }, "could not wake function");
          if (err instanceof FaasError && (err.kind === "notFound" || err.kind === "invalid")) {
            sleeper.held.fail(err);
            return;
          }
        }
      }
      if (replicas > 0 && performance.now() - hurriedAt > HURRY_EVERY_MS) {
        hurriedAt = performance.now();
        this.#options.hurry?.({ name, namespace }).catch((err: unknown) => {
          log.warn({ function: name, namespace, err }, "could not say that calls wait for a function");
        });
      }
      await delay(AGAIN_MS);
    }
  }
}

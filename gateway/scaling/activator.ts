import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";

/** A function that calls wait for. */
export interface ScaledToZero {
  readonly snapshot: FunctionEndpoints;
  readonly readyReplicas: number;
  readonly held: { readonly count: number; fail(error: FaasError): void };
}

export interface ActivatorOptions<S extends ScaledToZero> {
  readonly scale: (ref: FunctionRef, replicas: number) => Promise<void>;
  /** Calls wait although replicas are wanted: they are to come before others that nobody waits for. */
  readonly expedite?: (ref: FunctionRef) => Promise<void>;
  /** Replicas that the calls held now need; 0 for none. */
  readonly wanted: (fn: S) => number;
  /** Tells the calls that wait that the provider will not have it; those of this thread when absent. */
  readonly fail?: (fn: S, error: FaasError) => void;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** Between two looks at how many calls wait, and between two tries. */
const AGAIN_MS = 100;
/** How often the provider is asked to expedite replicas that calls wait for. */
const EXPEDITE_EVERY_MS = 5_000;
/** An order that has not been seen for so long is given again; someone else may have undone it. */
const UNSEEN_MS = 2000;

/** Asks the provider to start functions at zero when a call comes; one request at a time per function. */
export class Activator<S extends ScaledToZero> {
  readonly #options: ActivatorOptions<S>;
  readonly #waking = new Set<S>();

  constructor(options: ActivatorOptions<S>) {
    this.#options = options;
  }

  /** For a call that is held because no replica is ready. Does nothing while replicas are on their way. */
  wake(fn: S): void {
    if (this.#waking.has(fn)) return;
    this.#waking.add(fn);
    // Calls that arrived together are all held by then.
    setImmediate(() => void this.#run(fn).finally(() => this.#waking.delete(fn)));
  }

  /**
   * Polls until a replica is ready or no call is waiting: each held call has its own deadline. Whenever none
   * is wanted it asks, also when someone has sent the function to sleep meanwhile, and for more when more calls come.
   */
  async #run(fn: S): Promise<void> {
    const { log } = this.#options;
    /** Ordered, but not yet in the snapshot. */
    let asked = 0;
    let askedAt = 0;
    let askedOf: FunctionEndpoints | undefined;
    let expeditedAt = Number.NEGATIVE_INFINITY;
    while (fn.held.count > 0 && fn.readyReplicas === 0) {
      const { name, namespace, replicas } = fn.snapshot;
      // Another snapshot with none wanted: the order was carried out and undone, or somebody else's came after it.
      const undone = replicas === 0 && fn.snapshot !== askedOf;
      if (undone || replicas >= asked || performance.now() - askedAt > UNSEEN_MS) asked = 0;
      const wanted = replicas === 0 ? this.#options.wanted(fn) : 0;
      if (wanted > asked) {
        askedOf = fn.snapshot;
        try {
          await this.#options.scale({ name, namespace }, wanted);
          [asked, askedAt] = [wanted, performance.now()];
          log.info({ function: name, namespace, waiting: fn.held.count, wanted }, "woke function for calls");
        } catch (err) {
          log.warn({ function: name, namespace, err }, "could not wake function");
          if (err instanceof FaasError && (err.kind === "notFound" || err.kind === "invalid")) {
            if (this.#options.fail) this.#options.fail(fn, err);
            else fn.held.fail(err);
            return;
          }
        }
      }
      if (replicas > 0 && performance.now() - expeditedAt > EXPEDITE_EVERY_MS) {
        expeditedAt = performance.now();
        this.#options.expedite?.({ name, namespace }).catch((err: unknown) => {
          log.warn({ function: name, namespace, err }, "could not ask the provider to expedite a function");
        });
      }
      await sleep(AGAIN_MS);
    }
  }
}

import { setTimeout as delay } from "node:timers/promises";
import type { FunctionEndpoints } from "../../provider/contract/endpoints.ts";
import { FaasError } from "../../provider/contract/errors.ts";
import type { FunctionRef } from "../../provider/contract/functions.ts";
import type { Logger } from "../../provider/kit/log.ts";

/** A function that calls wait for. */
export interface Sleeper {
  readonly picture: FunctionEndpoints;
  readonly readyReplicas: number;
  readonly held: { readonly count: number; fail(error: FaasError): void };
}

export interface WakerOptions<S extends Sleeper> {
  readonly scale: (ref: FunctionRef, replicas: number) => Promise<void>;
  /** Replicas that the calls held now need; 0 for none. */
  readonly wanted: (sleeper: S) => number;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** Between two looks at how many calls wait, and between two tries. */
const AGAIN_MS = 100;

/** Asks the provider to start functions at zero when a call comes; one request at a time per function. */
export class Waker<S extends Sleeper> {
  readonly #options: WakerOptions<S>;
  readonly #waking = new Set<S>();

  constructor(options: WakerOptions<S>) {
    this.#options = options;
  }

  /** Does nothing when replicas are wanted already: they are on their way. */
  wake(sleeper: S): void {
    if (sleeper.picture.replicas > 0 || this.#waking.has(sleeper)) return;
    this.#waking.add(sleeper);
    // Calls that arrived together are all held by then.
    setImmediate(() => void this.#run(sleeper).finally(() => this.#waking.delete(sleeper)));
  }

  /**
   * Tries until the provider has agreed or nobody waits any longer: each held call has its own deadline. Until a
   * replica is there it asks for more when more calls come.
   */
  async #run(sleeper: S): Promise<void> {
    const { name, namespace } = sleeper.picture;
    const { scale, wanted, log } = this.#options;
    let asked = 0;
    while (sleeper.held.count > 0 && sleeper.readyReplicas === 0 && sleeper.picture.replicas <= asked) {
      const replicas = wanted(sleeper);
      if (replicas > asked) {
        try {
          await scale({ name, namespace }, replicas);
          asked = replicas;
          log.info({ function: name, namespace, waiting: sleeper.held.count, replicas }, "woke function for calls");
        } catch (err) {
          log.warn({ function: name, namespace, err }, "could not wake function");
          if (err instanceof FaasError && (err.kind === "notFound" || err.kind === "invalid")) {
            sleeper.held.fail(err);
            return;
          }
        }
      }
      await delay(AGAIN_MS);
    }
  }
}

import { setTimeout as delay } from "node:timers/promises";
import type { FunctionEndpoints } from "../../provider/contract/endpoints.ts";
import { FaasError } from "../../provider/contract/errors.ts";
import type { FunctionRef } from "../../provider/contract/functions.ts";
import type { Logger } from "../../provider/kit/log.ts";
import { wakeReplicas } from "../core/scale-labels.ts";

/** A function that calls wait for. */
export interface Sleeper {
  readonly picture: FunctionEndpoints;
  readonly held: { readonly count: number; fail(error: FaasError): void };
}

const RETRY_MS = 200;

/** Asks the provider to start functions at zero when a call comes; one request at a time per function. */
export class Waker {
  readonly #scale: (ref: FunctionRef, replicas: number) => Promise<void>;
  readonly #log: Logger;
  readonly #waking = new Set<Sleeper>();

  constructor(scale: (ref: FunctionRef, replicas: number) => Promise<void>, log: Logger) {
    this.#scale = scale;
    this.#log = log;
  }

  /** Does nothing when replicas are wanted already: they are on their way. */
  wake(sleeper: Sleeper): void {
    if (sleeper.picture.replicas > 0 || this.#waking.has(sleeper)) return;
    this.#waking.add(sleeper);
    void this.#run(sleeper).finally(() => this.#waking.delete(sleeper));
  }

  /** Tries until the provider has agreed or nobody waits any longer: each held call has its own deadline. */
  async #run(sleeper: Sleeper): Promise<void> {
    const { name, namespace, labels } = sleeper.picture;
    while (sleeper.held.count > 0 && sleeper.picture.replicas === 0) {
      try {
        await this.#scale({ name, namespace }, wakeReplicas(labels));
        this.#log.info({ function: name, namespace, waiting: sleeper.held.count }, "woke function for a call");
        return;
      } catch (err) {
        this.#log.warn({ function: name, namespace, err }, "could not wake function");
        if (err instanceof FaasError && (err.kind === "notFound" || err.kind === "invalid")) {
          sleeper.held.fail(err);
          return;
        }
      }
      await delay(RETRY_MS);
    }
  }
}

import type { FunctionTable } from "../../proxy/function-table.ts";

export interface EventNamespacesOptions {
  readonly table: Pick<FunctionTable, "entries">;
  /** All that the platform has; undefined where it cannot say. */
  readonly list: (signal: AbortSignal) => Promise<readonly string[] | undefined>;
  readonly defaultNamespace: string;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

/** Nobody who guesses names has the provider asked more often. */
const ASK_EVERY_MS = 1_000;
/** One that was there is taken to be there for so long. */
const KEPT_MS = 30_000;
const TIMEOUT_MS = 5_000;

/** Which namespaces there are. */
export class EventNamespaces {
  readonly #options: EventNamespacesOptions;
  readonly #now: () => number;
  #known: ReadonlySet<string> = new Set();
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(options: EventNamespacesOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** @throws {FaasError} when it has to ask and gets no answer */
  async has(namespace: string): Promise<boolean> {
    if (namespace === this.#options.defaultNamespace) return true;
    const age = this.#now() - this.#askedAt;
    if (this.#known.has(namespace) && age < KEPT_MS) return true;
    if (age >= ASK_EVERY_MS || this.#asking) await this.#ask();
    return this.#known.has(namespace);
  }

  async #ask(): Promise<void> {
    this.#asking ??= this.#list().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #list(): Promise<void> {
    this.#askedAt = this.#now();
    const listed = await this.#options.list(AbortSignal.timeout(TIMEOUT_MS));
    const withFunctions = [...this.#options.table.entries()].map(({ namespace }) => namespace);
    this.#known = new Set([...(listed ?? []), ...withFunctions]);
  }
}

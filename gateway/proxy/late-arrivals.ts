import { FaasError } from "../../provider/contract/errors.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { FunctionTable } from "./function-table.ts";

export interface LateArrivalsOptions {
  readonly table: FunctionTable;
  /** Whether the provider has the function, by `name` or `name.namespace`. Rejects when it cannot tell. */
  readonly exists: (target: string) => Promise<boolean>;
}

/** Questions to the provider under way at a time: names that nobody deployed must not become a flood of them. */
const MAX_QUESTIONS = 16;
/** A function that the provider has reaches the table within this time, or something is broken. */
const ARRIVAL_MS = 2_000;
/** How long a "no" is remembered. */
const FORGET_MS = 250;
const MAX_REMEMBERED = 1_000;

/**
 * Functions that are called before the endpoints stream has brought them: somebody deploys and calls at once, perhaps
 * through different gateways. Only names that the table does not know come here.
 */
export class LateArrivals {
  readonly #table: FunctionTable;
  readonly #exists: (target: string) => Promise<boolean>;
  readonly #questions = new Map<string, Promise<FunctionEntry | undefined>>();
  /** When each unknown name may be asked for again, in milliseconds since the epoch. */
  readonly #unknown = new Map<string, number>();

  constructor({ table, exists }: LateArrivalsOptions) {
    this.#table = table;
    this.#exists = exists;
  }

  /**
   * The function once it is in the table, or undefined when there is none.
   * @throws when nobody can tell now
   */
  async find(target: string): Promise<FunctionEntry | undefined> {
    const pending = this.#questions.get(target);
    if (pending) return await pending;
    const again = this.#unknown.get(target);
    if (again !== undefined && again > Date.now()) return undefined;
    if (this.#questions.size >= MAX_QUESTIONS)
      throw new FaasError("unavailable", "too many functions are being asked for");
    const question = this.#ask(target).finally(() => this.#questions.delete(target));
    this.#questions.set(target, question);
    return await question;
  }

  async #ask(target: string): Promise<FunctionEntry | undefined> {
    if (await this.#exists(target)) {
      const entry = await this.#table.waitFor(target, ARRIVAL_MS);
      if (!entry) throw new FaasError("unavailable", "the endpoints stream has not brought the function");
      return entry;
    }
    if (this.#unknown.size >= MAX_REMEMBERED) this.#unknown.clear();
    this.#unknown.set(target, Date.now() + FORGET_MS);
    return undefined;
  }
}

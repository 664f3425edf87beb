import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, isFunctionName, qualifiedName } from "../../contract/functions.ts";
import { isNamespaceName } from "../../contract/namespaces.ts";
import { parseTarget } from "../core/function-path.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { FunctionTable } from "./function-table.ts";

export interface ProviderQuestions {
  /**
   * Which of these functions the provider has, by `name.namespace`. Rejects when it cannot tell, and when `signal`
   * aborts.
   */
  exist(refs: readonly FunctionRef[], signal: AbortSignal): Promise<ReadonlySet<string>>;
  /** Why it will not be told which functions there are; undefined unless that is so. */
  readonly silence?: string | undefined;
  /** What is known lags behind: a stream that is broken, or the next reading, is not to wait for its time. */
  expedite?(): void;
}

export interface MissingFunctionLookupOptions {
  readonly table: Pick<FunctionTable, "waitFor" | "defaultNamespace">;
  readonly provider: ProviderQuestions;
}

/** Names that may wait for the next question; more are too many to ask for. */
const MAX_WAITING = 50_000;
/** Longest wait for the answer to a question. */
const QUESTION_MS = 5_000;
/** So few functions are asked for without a pause: somebody deploys and calls. */
const FEW = 4;
/** After a question about more, a pause of so many times its time keeps strangers from keeping the provider busy. */
const PAUSES = 9;
const MAX_PAUSE_MS = 2_000;
/** A function that the provider has reaches the table within this time, or something is broken. */
const ARRIVAL_MS = 10_000;
/** How long a "no" is remembered. */
const FORGET_MS = 250;
const MAX_REMEMBERED = 10_000;

interface Question {
  readonly ref: FunctionRef;
  readonly answer: Promise<FunctionEntry | undefined>;
  resolve(entry: FunctionEntry | undefined | Promise<FunctionEntry>): void;
  reject(error: unknown): void;
}

/**
 * Functions that are called before the provider has told of them by itself: somebody deploys and calls at once, perhaps
 * through different gateways. Only names that the table does not know come here. One question at a time asks for all
 * names that wait, so that a flood of names that nobody deployed does not become one of questions.
 */
export class MissingFunctionLookup {
  readonly #table: MissingFunctionLookupOptions["table"];
  readonly #provider: ProviderQuestions;
  /** For the next question; like all here by `name.namespace`. */
  #waiting = new Map<string, Question>();
  #asking = false;
  readonly #arriving = new Map<string, Promise<FunctionEntry>>();
  /** Until when each is known to be unknown, by `performance.now()`. */
  readonly #unknown = new Map<string, number>();

  constructor({ table, provider }: MissingFunctionLookupOptions) {
    this.#table = table;
    this.#provider = provider;
  }

  /** See {@link ProviderQuestions}. */
  get silence(): string | undefined {
    return this.#provider.silence;
  }

  /**
   * The function once it is in the table, or undefined when there is none.
   * @param target `name` or `name.namespace`
   * @throws {FaasError} with the reason when nobody can tell now
   */
  async find(target: string): Promise<FunctionEntry | undefined> {
    const ref = parseTarget(target, this.#table.defaultNamespace);
    if (!isFunctionName(ref.name) || !isNamespaceName(ref.namespace)) return undefined;
    const key = qualifiedName(ref);
    if ((this.#unknown.get(key) ?? 0) > performance.now()) return undefined;
    return await (this.#arriving.get(key) ?? this.#ask(key, ref).answer);
  }

  /** What is being asked already may have been asked before the function was deployed. */
  #ask(key: string, ref: FunctionRef): Question {
    const known = this.#waiting.get(key);
    if (known) return known;
    if (this.#waiting.size >= MAX_WAITING) throw new FaasError("unavailable", "too many unknown functions are called");
    const { promise: answer, resolve, reject } = Promise.withResolvers<FunctionEntry | undefined>();
    const question = { ref, answer, resolve, reject };
    this.#waiting.set(key, question);
    this.#askSoon();
    return question;
  }

  /** What comes in one turn of the event loop is one question. */
  #askSoon(): void {
    if (this.#asking || this.#waiting.size === 0) return;
    this.#asking = true;
    setImmediate(() => void this.#askAll());
  }

  async #askAll(): Promise<void> {
    const questions = this.#waiting;
    this.#waiting = new Map();
    const begun = performance.now();
    try {
      const refs = [...questions.values()].map(({ ref }) => ref);
      const known = await this.#provider.exist(refs, AbortSignal.timeout(QUESTION_MS));
      for (const [key, { resolve }] of questions) {
        if (known.has(key)) resolve(this.#arrive(key));
        else {
          this.#remember(key);
          resolve(undefined);
        }
      }
    } catch (cause) {
      const error = new FaasError("unavailable", "the provider does not answer", { cause });
      // Those who have come meanwhile have waited too, and would for as long again.
      for (const { reject } of [...questions.values(), ...this.#waiting.values()]) reject(error);
      this.#waiting.clear();
    }
    const pauseMs = questions.size > FEW ? Math.min(MAX_PAUSE_MS, PAUSES * (performance.now() - begun)) : 0;
    setTimeout(() => {
      this.#asking = false;
      this.#askSoon();
    }, pauseMs).unref();
  }

  #arrive(key: string): Promise<FunctionEntry> {
    const known = this.#arriving.get(key);
    if (known) return known;
    this.#provider.expedite?.();
    const arrival = this.#table
      .waitFor(key, ARRIVAL_MS)
      .then((entry) => {
        if (entry) return entry;
        throw new FaasError(
          "unavailable",
          "the function is deployed, but the provider has not reported its replicas yet",
        );
      })
      .finally(() => this.#arriving.delete(key));
    this.#arriving.set(key, arrival);
    return arrival;
  }

  #remember(key: string): void {
    if (this.#unknown.size >= MAX_REMEMBERED) this.#unknown.clear();
    this.#unknown.set(key, performance.now() + FORGET_MS);
  }
}

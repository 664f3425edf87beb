import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { parseDuration } from "../../../kit/parse.ts";
import { parseRetryPolicy, type RetryPolicy } from "../../core/retry-policy.ts";

export type Annotations = Readonly<Record<string, string>>;

interface AnnotatedFunctions {
  /** Undefined when no such function is known. The same annotations are the same object, until they change. */
  find(ref: FunctionRef): { readonly annotations: Annotations } | undefined;
}

interface Remembered {
  readonly annotations: Annotations | undefined;
  readonly policy: RetryPolicy;
  readonly problems: string;
}

const MAX_REMEMBERED = 10_000;

/** Retry policies by function, parsed again only when the annotations have changed. */
export class Policies {
  readonly #functions: AnnotatedFunctions;
  readonly #defaults: RetryPolicy;
  readonly #onProblems: (ref: FunctionRef, problems: readonly string[]) => void;
  readonly #remembered = new Map<string, Remembered>();

  /** @param onProblems gets annotations that are invalid, once until they change */
  constructor(
    functions: AnnotatedFunctions,
    defaults: RetryPolicy,
    onProblems: (ref: FunctionRef, problems: readonly string[]) => void,
  ) {
    this.#functions = functions;
    this.#defaults = defaults;
    this.#onProblems = onProblems;
  }

  find(ref: FunctionRef): { readonly policy: RetryPolicy; readonly known: boolean } {
    const annotations = this.#functions.find(ref)?.annotations;
    const known = annotations !== undefined;
    const key = qualifiedName(ref);
    const before = this.#remembered.get(key);
    if (before && before.annotations === annotations) return { policy: before.policy, known };

    const parsed = parseRetryPolicy(annotations, this.#defaults, parseDuration);
    const problems = parsed.problems.join("; ");
    if (problems !== "" && problems !== before?.problems) this.#onProblems(ref, parsed.problems);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(key, { annotations, policy: parsed.policy, problems });
    return { policy: parsed.policy, known };
  }
}

import { parseDuration } from "../../provider/kit/parse.ts";
import { parseRetryPolicy, type RetryPolicy } from "../core/retry-policy.ts";

export type Annotations = Readonly<Record<string, string>>;

/**
 * A function's annotations; undefined when no such function is known, `{}` when it has none.
 */
export type AnnotationsOf = (functionName: string, namespace: string) => Annotations | undefined;

interface Remembered {
  readonly annotations: Annotations | undefined;
  readonly policy: RetryPolicy;
  readonly problems: string;
}

const MAX_REMEMBERED = 10_000;

/** Retry policies by function, parsed again only when the annotations have changed. */
export class Policies {
  readonly #annotationsOf: AnnotationsOf;
  readonly #defaults: RetryPolicy;
  readonly #onProblems: (functionName: string, namespace: string, problems: readonly string[]) => void;
  readonly #remembered = new Map<string, Remembered>();

  /** @param onProblems told of annotations that are invalid, once until they change */
  constructor(
    annotationsOf: AnnotationsOf,
    defaults: RetryPolicy,
    onProblems: (functionName: string, namespace: string, problems: readonly string[]) => void,
  ) {
    this.#annotationsOf = annotationsOf;
    this.#defaults = defaults;
    this.#onProblems = onProblems;
  }

  find(functionName: string, namespace: string): { readonly policy: RetryPolicy; readonly known: boolean } {
    const annotations = this.#annotationsOf(functionName, namespace);
    const known = annotations !== undefined;
    const key = `${functionName}.${namespace}`;
    const before = this.#remembered.get(key);
    if (before && before.annotations === annotations) return { policy: before.policy, known };

    const parsed = parseRetryPolicy(annotations, this.#defaults, parseDuration);
    const problems = parsed.problems.join("; ");
    if (problems !== "" && problems !== before?.problems) this.#onProblems(functionName, namespace, parsed.problems);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(key, { annotations, policy: parsed.policy, problems });
    return { policy: parsed.policy, known };
  }
}

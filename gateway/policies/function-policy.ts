import { listProblems } from "../../contract/clip.ts";
import { type CallPolicy, parseCallPolicy } from "../../contract/policies/call-policy.ts";
import { RateLimiter } from "../core/rate-limiter.ts";

type Annotations = Readonly<Record<string, string>>;

const OWN = /^com\.faaslane\./i;

/** What one function wants to be seen to before it is called, and what is counted for that. */
export class FunctionPolicy {
  readonly rules: CallPolicy;
  /** Why it must not be called: a setting that cannot be read. */
  readonly problem: string | undefined;
  readonly limiter: RateLimiter | undefined;
  readonly #source: string;

  private constructor(rules: CallPolicy, problems: readonly string[], source: string) {
    this.rules = rules;
    this.problem = problems.length > 0 ? listProblems(problems) : undefined;
    this.limiter = rules.rateLimit && new RateLimiter(rules.rateLimit);
    this.#source = source;
  }

  /**
   * The policy that `annotations` ask for; undefined for none.
   * @param known the one before, which stays when nothing has changed, with what it has counted
   */
  static read(annotations: Annotations, known?: FunctionPolicy): FunctionPolicy | undefined {
    const own = Object.entries(annotations).filter(([name]) => OWN.test(name));
    if (own.length === 0) return undefined;
    const source = JSON.stringify(own);
    if (known && known.#source === source) return known;
    const { policy, problems } = parseCallPolicy(annotations);
    return policy || problems.length > 0 ? new FunctionPolicy(policy ?? {}, problems, source) : undefined;
  }
}

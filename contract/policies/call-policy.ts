import { AUTH, AUTH_SETTINGS, type AuthPolicy, readAuthPolicy } from "./auth-policy.ts";
import { CORS_SETTINGS, type CorsPolicy, readCorsPolicy } from "./cors-policy.ts";
import { PolicySettings } from "./policy-settings.ts";
import { RATE_LIMIT, type RateLimitPolicy, readRateLimit } from "./rate-limit-policy.ts";

/** What a function wants gateways to see to before they pass a call on, from its annotations. */
export interface CallPolicy {
  readonly cors?: CorsPolicy;
  /** Of the body of a request. */
  readonly maxRequestBytes?: number;
  /** Of the body of an answer. */
  readonly maxAnswerBytes?: number;
  readonly rateLimit?: RateLimitPolicy;
  readonly auth?: AuthPolicy;
}

export interface ParsedCallPolicy {
  /** Absent when the function asks for nothing. */
  readonly policy?: CallPolicy;
  /**
   * A sentence for each setting that cannot be read, with its name and rule. A deploy is refused for them; a function
   * that is there already must not be called: one that asks for a guard has one or stays closed.
   */
  readonly problems: readonly string[];
}

const LIMITS = "com.faaslane.limits.";
const MAX_REQUEST = `${LIMITS}max-request-bytes`;
const MAX_ANSWER = `${LIMITS}max-answer-bytes`;
const KNOWN = new Set([AUTH, ...AUTH_SETTINGS, ...CORS_SETTINGS, MAX_REQUEST, MAX_ANSWER, RATE_LIMIT]);
/** Wide enough for what is mistyped, so that nobody believes in a guard that is not there. */
const LOOKS_LIKE_ONE = /^com\.faaslane\.(auth|cors|limit|rate)/i;
const MOST_BYTES = 1024 ** 4;

/** Bodies that are read as a whole before the function gets any of them. */
export const MOST_SIGNED_BYTES = 32 * 1024 ** 2;
const DEFAULT_SIGNED_BYTES = 1024 ** 2;

const NOTHING: ParsedCallPolicy = { problems: [] };

/** Reads `com.faaslane.auth`, `.cors`, `.limits` and `.rate-limit`. */
export function parseCallPolicy(annotations: Readonly<Record<string, string>> = {}): ParsedCallPolicy {
  if (!Object.keys(annotations).some((name) => LOOKS_LIKE_ONE.test(name))) return NOTHING;
  const read = new PolicySettings(annotations);
  read.refuseUnknown(LOOKS_LIKE_ONE, KNOWN);
  const cors = readCorsPolicy(read);
  const maxRequestBytes = read.bytes(MAX_REQUEST, MOST_BYTES, "1024Gi");
  const maxAnswerBytes = read.bytes(MAX_ANSWER, MOST_BYTES, "1024Gi");
  const rateLimit = readRateLimit(read);
  const auth = readAuthPolicy(read);
  if (rateLimit?.by === "identity" && (!auth || auth.kind === "hmac")) {
    read.refuse(RATE_LIMIT, "needs com.faaslane.auth: basic, key or jwt for by=identity");
  }
  if (auth?.kind === "hmac" && (maxRequestBytes ?? 0) > MOST_SIGNED_BYTES) {
    read.refuse(MAX_REQUEST, "must be at most 32Mi with com.faaslane.auth: hmac, which needs the whole body first");
  }
  const policy: CallPolicy = {
    ...(cors && { cors }),
    ...(maxRequestBytes !== undefined && { maxRequestBytes }),
    ...(maxAnswerBytes !== undefined && { maxAnswerBytes }),
    ...(rateLimit && { rateLimit }),
    ...(auth && { auth }),
  };
  if (auth?.kind === "hmac" && maxRequestBytes === undefined) {
    return { policy: { ...policy, maxRequestBytes: DEFAULT_SIGNED_BYTES }, problems: read.problems };
  }
  return { ...(Object.keys(policy).length > 0 && { policy }), problems: read.problems };
}

/** The secret by which the function's callers are checked; undefined for none. */
export function callersSecret(annotations: Readonly<Record<string, string>> = {}): string | undefined {
  const auth = parseCallPolicy(annotations).policy?.auth;
  if (auth?.kind !== "jwt") return auth?.secret;
  return auth.keys.kind === "secret" ? auth.keys.name : undefined;
}

/** Why a deployment must be refused. */
export function callPolicyProblems(annotations: Readonly<Record<string, string>> = {}): readonly string[] {
  return parseCallPolicy(annotations).problems;
}

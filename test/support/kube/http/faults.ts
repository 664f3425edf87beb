import { ApiError } from "../status.ts";
import type { Verb } from "./route.ts";

/** What a fault may look at, and what is counted. */
export interface RequestInfo {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Undefined for requests that are not for objects. */
  readonly verb: Verb | undefined;
  /** As `pods` or `deployments.apps`; "" when it is not for objects. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  readonly userAgent: string;
}

export interface FaultRule {
  /** As 429 or 500. */
  readonly status: number;
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
  /** How many requests it answers; all unless given. */
  readonly times?: number;
  /** Part of the requests that it answers, evenly spread; all unless given. */
  readonly fraction?: number;
  matches?(request: RequestInfo): boolean;
}

const DEFAULTS: Readonly<Record<number, readonly [reason: string, message: string]>> = {
  401: ["Unauthorized", "Unauthorized"],
  403: ["Forbidden", "forbidden by a fault of the test"],
  429: ["TooManyRequests", "the server has received too many requests and has asked us to try again later"],
  500: ["InternalError", "Internal error occurred: a fault of the test"],
  503: ["ServiceUnavailable", "the server is currently unable to handle the request"],
  504: ["Timeout", "the server was unable to return a response in the time allotted"],
};

/** What goes wrong, on demand, and what has been asked. */
export class Faults {
  /** Every answer comes so much later. */
  delayMs = 0;
  /** Requests of the last while, oldest first. */
  readonly requests: RequestInfo[] = [];
  readonly #rules = new Set<{ readonly rule: FaultRule; left: number; due: number }>();
  readonly #limit = 100_000;

  /** Answers requests with an error from now on. Returns the way to end it. */
  answer(rule: FaultRule): () => void {
    const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY, due: 0 };
    this.#rules.add(entry);
    return () => this.#rules.delete(entry);
  }

  clear(): void {
    this.#rules.clear();
    this.delayMs = 0;
  }

  /** How many requests there were of a verb for a resource, as `count("patch", "deployments.apps")`. */
  count(verb: Verb, resource?: string): number {
    return this.requests.filter((r) => r.verb === verb && (resource === undefined || r.resource === resource)).length;
  }

  /** Counts a request. @throws {ApiError} when a rule answers it */
  check(request: RequestInfo): void {
    this.requests.push(request);
    if (this.requests.length > this.#limit) this.requests.splice(0, this.#limit / 2);
    for (const entry of this.#rules) {
      if (entry.left <= 0 || entry.rule.matches?.(request) === false) continue;
      entry.due += entry.rule.fraction ?? 1;
      if (entry.due < 1) continue;
      entry.due -= 1;
      entry.left -= 1;
      throw toError(entry.rule);
    }
  }
}

function toError({ status, reason, message, retryAfterSeconds }: FaultRule): ApiError {
  const [defaultReason, defaultMessage] = DEFAULTS[status] ?? ["", "a fault of the test"];
  const details = retryAfterSeconds === undefined ? undefined : { retryAfterSeconds };
  return new ApiError(status, reason ?? defaultReason, message ?? defaultMessage, details);
}

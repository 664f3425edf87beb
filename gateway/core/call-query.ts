import { FaasError } from "../../contract/errors.ts";
import { parseSpan } from "../../contract/instants.ts";

/** What `GET /async-function/<call-id>` is asked. */
export interface CallQuery {
  /** Whether the function's own answer is wanted. */
  readonly result: boolean;
  /** How long to wait for the end of the call, in milliseconds. */
  readonly waitMs: number;
}

/** Proxies in front cut requests that are silent for much longer; longer waits are asked for again. */
export const MAX_WAIT_MS = 60_000;
/** Far more than its parameters take. */
const MAX_QUERY_CHARS = 4096;

/**
 * @param query raw, without `?`
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readCallQuery(query: string): CallQuery {
  if (query.length > MAX_QUERY_CHARS) {
    throw new FaasError("invalid", `the query must have at most ${MAX_QUERY_CHARS} characters`);
  }
  const parameters = new URLSearchParams(query);
  const result = parameters.get("result") ?? "false";
  if (result !== "true" && result !== "false") throw new FaasError("invalid", "result: must be true or false");
  const wait = parameters.get("wait");
  const waitMs = wait === null ? 0 : parseSpan(wait);
  if (waitMs === undefined) throw new FaasError("invalid", "wait: must be a duration such as 30, 1m or 500ms");
  return { result: result === "true", waitMs: Math.min(waitMs, MAX_WAIT_MS) };
}

/**
 * Codes that tell the causes of failures apart, each with what clients may do about it. A code that was published is
 * never changed, and none is used for another cause. `docs/errors.md` lists them for callers.
 */
export const ERROR_CODES = {
  invalid_request: "invalid",
  unauthorized: "unauthorized",
  session_over: "unauthorized",
  forbidden: "forbidden",
  read_only: "forbidden",
  origin_not_allowed: "forbidden",
  not_found: "notFound",
  unknown_route: "notFound",
  unknown_function: "notFound",
  unknown_version: "notFound",
  unknown_call: "notFound",
  unknown_broker: "notFound",
  unknown_trigger: "notFound",
  unknown_source: "notFound",
  unknown_event: "notFound",
  unknown_replay: "notFound",
  unknown_sink: "notFound",
  unknown_flow: "notFound",
  unknown_run: "notFound",
  not_subscribed: "notFound",
  no_result: "notFound",
  no_request: "notFound",
  method_not_allowed: "notAllowed",
  conflict: "conflict",
  route_taken: "conflict",
  declared_by_object: "conflict",
  not_ended: "conflict",
  already_received: "conflict",
  result_gone: "conflict",
  too_large: "tooLarge",
  unsupported_media_type: "unsupportedType",
  unprocessable: "unprocessable",
  no_callback: "unprocessable",
  overloaded: "overloaded",
  concurrency_limit: "overloaded",
  too_many_waiting: "overloaded",
  too_many_logins: "overloaded",
  rate_limited: "overloaded",
  queue_full: "overloaded",
  broker_full: "overloaded",
  internal_error: "internal",
  scaling_failed: "internal",
  function_failed: "internal",
  replica_unreachable: "internal",
  unsupported: "unsupported",
  bad_answer: "upstream",
  answer_too_large: "upstream",
  provider_unreachable: "upstream",
  unavailable: "unavailable",
  no_replica_ready: "unavailable",
  cannot_start: "unavailable",
  policy_unreadable: "unavailable",
  auth_unavailable: "unavailable",
  function_unknown_yet: "unavailable",
  queue_unavailable: "unavailable",
  events_unavailable: "unavailable",
  stopping: "unavailable",
  out_of_resources: "unavailable",
  too_many_upgrades: "unavailable",
  timeout: "timeout",
  function_timeout: "timeout",
  disk_full: "noSpace",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

const BY_WATCHDOGS: ReadonlyMap<number, ErrorCode> = new Map([
  [413, "too_large"],
  [429, "concurrency_limit"],
  [500, "function_failed"],
  [502, "bad_answer"],
  [503, "no_replica_ready"],
  [504, "function_timeout"],
]);
const BY_PROVIDERS: ReadonlyMap<number, ErrorCode> = new Map([
  [500, "replica_unreachable"],
  [503, "no_replica_ready"],
]);
const BY_MARK: ReadonlyMap<unknown, ReadonlyMap<number, ErrorCode>> = new Map([
  ["of-watchdog", BY_WATCHDOGS],
  ["faas-middleware", BY_WATCHDOGS],
  ["proxy", BY_PROVIDERS],
]);

/**
 * The code of an error answer that says it was made on the way to a function. Who made it sets none, as watchdogs and
 * providers of OpenFaaS do not.
 * @param mark its `X-OpenFaaS-Internal`
 */
export function codeOfMarkedAnswer(mark: unknown, status: number): ErrorCode | undefined {
  return BY_MARK.get(mark)?.get(status);
}

/** Carries the code of a failure of the platform. What functions set of that name is dropped. */
export const ERROR_HEADER = "x-faaslane-error";

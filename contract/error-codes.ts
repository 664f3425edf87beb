/**
 * Codes that tell the causes of failures apart, each with what clients may do about it. A code that was published is
 * never changed, and none is used for another cause. `docs/errors.md` lists them for callers.
 */
export const ERROR_CODES = {
  invalid_request: "invalid",
  unauthorized: "unauthorized",
  forbidden: "forbidden",
  origin_not_allowed: "forbidden",
  not_found: "notFound",
  unknown_route: "notFound",
  unknown_function: "notFound",
  unknown_call: "notFound",
  no_result: "notFound",
  no_request: "notFound",
  method_not_allowed: "notAllowed",
  conflict: "conflict",
  not_ended: "conflict",
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
  internal_error: "internal",
  scaling_failed: "internal",
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
  stopping: "unavailable",
  out_of_resources: "unavailable",
  too_many_upgrades: "unavailable",
  timeout: "timeout",
  function_timeout: "timeout",
  disk_full: "noSpace",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Carries the code of a failure of the platform. Functions' answers never have it: what they set of that name is dropped. */
export const ERROR_HEADER = "x-faaslane-error";

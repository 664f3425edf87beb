import type { ERROR_CODES, ErrorCode } from "./error-codes.ts";
import { shortageOf } from "./shortages.ts";

/** HTTP status of every failure the contract knows. Each status appears once, so clients can read the table backwards. */
export const STATUS = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  notAllowed: 405,
  conflict: 409,
  tooLarge: 413,
  unsupportedType: 415,
  unprocessable: 422,
  overloaded: 429,
  internal: 500,
  unsupported: 501,
  upstream: 502,
  unavailable: 503,
  timeout: 504,
  noSpace: 507,
} as const;
export type ErrorKind = keyof typeof STATUS;

type CodeOf<K extends ErrorKind> = { [C in ErrorCode]: (typeof ERROR_CODES)[C] extends K ? C : never }[ErrorCode];

/** The code of a failure of whose cause nothing more is known than its kind. */
const DEFAULT_CODES: { readonly [K in ErrorKind]: CodeOf<K> } = {
  invalid: "invalid_request",
  unauthorized: "unauthorized",
  forbidden: "forbidden",
  notFound: "not_found",
  notAllowed: "method_not_allowed",
  conflict: "conflict",
  tooLarge: "too_large",
  unsupportedType: "unsupported_media_type",
  unprocessable: "unprocessable",
  overloaded: "overloaded",
  internal: "internal_error",
  unsupported: "unsupported",
  upstream: "bad_answer",
  unavailable: "unavailable",
  timeout: "timeout",
  noSpace: "disk_full",
};

export interface FaasErrorOptions extends ErrorOptions {
  /** Tells the cause apart from others of the kind; the kind's own code when absent. */
  readonly code?: ErrorCode;
}

/** A failure a client may be told about: its `message` is sent as is. */
export class FaasError extends Error {
  override readonly name = "FaasError";
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
  constructor(kind: ErrorKind, message: string, options?: FaasErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.code = options?.code ?? DEFAULT_CODES[kind];
  }
}

/** Anything thrown, as the contract's error. What we did not foresee stays private to the log. */
export function toFaasError(thrown: unknown): FaasError {
  if (thrown instanceof FaasError) return thrown;
  const shortage = shortageOf(thrown);
  if (!shortage) return new FaasError("internal", "internal error", { cause: thrown });
  const code = shortage.kind === "unavailable" ? "out_of_resources" : "disk_full";
  return new FaasError(shortage.kind, shortage.message, { cause: thrown, code });
}

const kindByStatus = new Map<number, ErrorKind>(
  Object.entries(STATUS).map(([kind, status]) => [status, kind as ErrorKind]),
);

/** The failure with a code of its own kind where it had only the kind's: the caller knows better where it came from. */
export function withCode(error: FaasError, code: ErrorCode, kind: ErrorKind): FaasError {
  if (error.kind !== kind || error.code !== DEFAULT_CODES[kind]) return error;
  return new FaasError(kind, error.message, { cause: error.cause ?? error, code });
}

/** The code of an error answer of whose cause nothing more is known than its status; undefined outside the table. */
export function codeOfStatus(status: number): ErrorCode | undefined {
  const kind = kindByStatus.get(status);
  return kind && DEFAULT_CODES[kind];
}

/** The kind that a server's status stands for; any status outside the table is an `upstream` failure. */
export function kindOfStatus(status: number): ErrorKind {
  return kindByStatus.get(status) ?? "upstream";
}

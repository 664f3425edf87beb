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

/** A failure a client may be told about: its `message` is sent as is. */
export class FaasError extends Error {
  override readonly name = "FaasError";
  readonly kind: ErrorKind;
  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Anything thrown, as the contract's error. What we did not foresee stays private to the log. */
export function toFaasError(thrown: unknown): FaasError {
  if (thrown instanceof FaasError) return thrown;
  const { kind, message } = shortageOf(thrown) ?? { kind: "internal", message: "internal error" };
  return new FaasError(kind, message, { cause: thrown });
}

const kindByStatus = new Map<number, ErrorKind>(
  Object.entries(STATUS).map(([kind, status]) => [status, kind as ErrorKind]),
);

/** The kind that a server's status stands for; any status outside the table is an `upstream` failure. */
export function kindOfStatus(status: number): ErrorKind {
  return kindByStatus.get(status) ?? "upstream";
}

/** Codes of the distribution specification, with the status that each is answered with. */
const CODES = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
} as const;
export type RegistryCode = keyof typeof CODES;

/**
 * A request that the registry refuses; its message is sent as is.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */
export class RegistryFailure extends Error {
  override readonly name = "RegistryFailure";
  readonly code: RegistryCode;
  readonly status: number;
  /** Of the answer, besides those that every answer has. */
  readonly headers: Readonly<Record<string, string>>;

  /** @param status where another says more than the code's own */
  constructor(
    code: RegistryCode,
    message: string,
    { status, headers = {}, ...options }: ErrorOptions & { status?: number; headers?: Record<string, string> } = {},
  ) {
    super(message, options);
    this.code = code;
    this.status = status ?? CODES[code];
    this.headers = headers;
  }
}

/** The body of an error answer. */
export function formatFailure({ code, message }: Pick<RegistryFailure, "code" | "message">): string {
  return JSON.stringify({ errors: [{ code, message }] });
}

import { FaasError } from "../../contract/errors.ts";

/** `Status`, as the API server answers what it refuses. */
interface Status {
  readonly message?: unknown;
  readonly reason?: unknown;
}

const MAX_MESSAGE_CHARS = 2_000;

/** What the API server answered instead of doing as it was asked. */
export class ApiError extends FaasError {
  /** HTTP status. */
  readonly status: number;
  /** As `NotFound`, `Expired` or `AlreadyExists`; "" when there was none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(kindOf(status), message);
    this.status = status;
    this.reason = reason;
  }
}

function kindOf(status: number): FaasError["kind"] {
  switch (status) {
    case 400:
    case 422:
      // What the API server calls unprocessable is a field of the request that it does not take.
      return "invalid";
    case 403:
      return "forbidden";
    case 404:
      return "notFound";
    case 409:
      return "conflict";
    case 413:
      return "tooLarge";
    default:
      // 401 is about our own credentials; 429 and all of 5xx pass.
      return "unavailable";
  }
}

function decodeStatus(body: string): Status {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    // Proxies in between answer in words of their own.
    return {};
  }
}

/** An answer that is no success, as the failure that our own client is told. */
export function readApiError(status: number, body: string): ApiError {
  const { message, reason } = decodeStatus(body);
  const told = typeof message === "string" ? message.slice(0, MAX_MESSAGE_CHARS) : `answered with status ${status}`;
  const passed = status === 400 || status === 403 || status === 404 || status === 409 || status === 422;
  const text = passed ? told : `the Kubernetes API is not available: ${told}`;
  return new ApiError(status, typeof reason === "string" ? reason : "", text);
}

/** Whether `error` is the API server's, with this HTTP status. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}

import { FaasError } from "../../../../contract/errors.ts";

/** `Status`, as the API server answers what it refuses. */
interface Status {
  readonly message?: unknown;
  readonly reason?: unknown;
}

interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

const MAX_MESSAGE_CHARS = 2_000;

/** What the API server answered instead of doing as it was asked. */
export class ApiError extends FaasError {
  /** HTTP status. */
  readonly status: number;
  /** As `NotFound`, `Expired` or `AlreadyExists`; "" when there was none. */
  readonly reason: string;
  /** How long it wants to be left alone, in milliseconds; undefined when it did not say. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: FaasError["kind"], { status, reason, message, retryAfterMs }: Refusal) {
    super(kind, message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
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

/** What does not fit the types of an object is refused with 500 by server-side apply, though it is the request's fault. */
const MISFIT = /^failed to create typed patch object/;

/**
 * Turns an unsuccessful answer into the failure that our own client gets.
 * @param retryAfterMs as the answer's header says
 */
export function readApiError(status: number, body: string, retryAfterMs?: number): ApiError {
  const { message, reason } = decodeStatus(body);
  const isMisfit = status === 500 && typeof message === "string" && MISFIT.test(message);
  const told = typeof message === "string" ? message.slice(0, MAX_MESSAGE_CHARS) : `answered with status ${status}`;
  const kind = isMisfit ? "invalid" : kindOf(status);
  const passed = kind !== "unavailable" && kind !== "tooLarge";
  const text = passed ? told : `the Kubernetes API is not available: ${told}`;
  return new ApiError(kind, { status, reason: typeof reason === "string" ? reason : "", message: text, retryAfterMs });
}

/** Whether `error` is the API server's, with this HTTP status. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}

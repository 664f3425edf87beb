import { SESSION_HEADER, UNATTENDED_HEADER } from "../../../contract/ui/session.ts";
import { BASE } from "./router.ts";
import { isAttended } from "./state/attendance.ts";
import { session, sessionOver, token } from "./state/session.ts";

/** What the platform answers when it does not do what it is asked. */
export class ApiError extends Error {
  readonly status: number;
  /** Stable, see docs/errors.md; absent when there was no answer. */
  readonly code: string | undefined;

  constructor(status: number, message: string, code?: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface ApiRequest {
  readonly method?: string;
  /** Sent as JSON, unless it is a Blob or text. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Answers that say no are answers too: a function's. */
  readonly takesErrors?: boolean;
}

/** Root of the gateway, as the page is below it. */
const ROOT = BASE.replace(/ui\/$/, "");

/**
 * Asks the gateway. @param to starting with `/`, e.g. `/system/functions`
 * @throws {ApiError}
 */
export async function ask(
  to: string,
  { method = "GET", body, headers, signal, takesErrors }: ApiRequest = {},
): Promise<Response> {
  const isRaw = body === undefined || typeof body === "string" || body instanceof Blob || body instanceof FormData;
  const isOfSession = to.startsWith("/ui/api/session");
  // Without a word to the gateway, whose answer would have the browser ask for the password in its own way.
  if (!isOfSession && session.value?.state === "signedOut") throw new ApiError(401, "sign in first", "session_over");
  let answer: Response;
  try {
    answer = await fetch(ROOT + to.slice(1), {
      method,
      headers: {
        accept: "application/json",
        ...(!isRaw && { "content-type": "application/json" }),
        ...(token.value && { [SESSION_HEADER]: token.value }),
        ...(!isAttended() && { [UNATTENDED_HEADER]: "true" }),
        ...headers,
      },
      ...(body !== undefined && { body: isRaw ? (body as BodyInit) : JSON.stringify(body) }),
      ...(signal && { signal }),
      credentials: "same-origin",
      redirect: takesErrors ? "manual" : "error",
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "the gateway cannot be reached");
  }
  if (answer.ok || takesErrors) return answer;
  if (answer.status === 401 && !isOfSession) sessionOver();
  throw await refusal(answer);
}

/** Asks for JSON. @throws {ApiError} */
export async function askJson<T>(to: string, request?: ApiRequest): Promise<T> {
  const answer = await ask(to, request);
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

async function refusal(answer: Response): Promise<ApiError> {
  const text = (await answer.text()).slice(0, 4096);
  const code = answer.headers.get("x-faaslane-error") ?? undefined;
  try {
    const { error, message } = JSON.parse(text) as { error?: { message?: string } | string; message?: string };
    const said = typeof error === "string" ? error : (error?.message ?? message);
    if (said) return new ApiError(answer.status, said, code);
  } catch {
    // It is text then.
  }
  return new ApiError(answer.status, text.trim() || `the gateway answered ${answer.status}`, code);
}

import type { IncomingMessage, ServerResponse } from "node:http";
import { ERROR_HEADER } from "../contract/error-codes.ts";
import { type FaasError, STATUS } from "../contract/errors.ts";
import { INTERNAL_KEY } from "../http/platform-mark.ts";

type Headers = Readonly<Record<string, string>>;

/**
 * Answers with an error of the platform, as plain text, and says when to come back if that can help.
 * @param own of the error itself, which knows better
 */
export function answerError(res: ServerResponse, error: FaasError, headers: Headers, own: Headers = {}): void {
  res.writeHead(STATUS[error.kind], {
    ...headers,
    [INTERNAL_KEY]: "gateway",
    [ERROR_HEADER]: error.code,
    ...((error.kind === "overloaded" || error.kind === "unavailable") && { "retry-after": "1" }),
    ...own,
    // What is left of a refused body is not worth waiting for; it may never come.
    ...(isBodyOnItsWay(res.req) && { connection: "close" }),
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
  });
  res.end(`${error.message}\n`);
}

function isBodyOnItsWay({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

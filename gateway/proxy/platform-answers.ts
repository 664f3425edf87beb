import { ERROR_HEADER, type ErrorCode } from "../../contract/error-codes.ts";
import { type FaasError, STATUS } from "../../contract/errors.ts";
import { INTERNAL_KEY } from "../../http/platform-mark.ts";
import type { FunctionPath } from "../core/function-path.ts";
import type { LocationHeaders } from "../core/path-prefix.ts";
import type { PlatformAnswer } from "./exchange.ts";

const PLAIN_TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" } as const;

type Headers = Readonly<Record<string, string>>;

function coded(code: ErrorCode): Headers {
  return { [ERROR_HEADER]: code };
}

/** Sends the caller to the clean path, or says that there is no such route, as Go's router does. */
export function noFunctionAnswer(
  path: Exclude<FunctionPath, { kind: "function" }>,
  locate: (path: string) => LocationHeaders,
): PlatformAnswer {
  return path.kind === "redirect"
    ? { status: 301, headers: { ...locate(path.location), "content-length": "0" }, text: "" }
    : { status: 404, headers: { ...coded("unknown_route"), ...PLAIN_TEXT }, text: "404 page not found\n" };
}

/** @param ours headers of every answer to this call, as below */
export function wrongMethodAnswer(ours: Headers): PlatformAnswer {
  return { status: 405, headers: { ...ours, "content-length": "0", ...coded("method_not_allowed") }, text: "" };
}

export function unknownFunctionAnswer(target: string, ours: Headers): PlatformAnswer {
  return {
    status: 404,
    headers: { ...ours, ...coded("unknown_function"), ...PLAIN_TEXT },
    text: `error finding function ${target}: not found\n`,
  };
}

/** @param version or tag that the function does not have */
export function unknownVersionAnswer(target: string, version: string, ours: Headers): PlatformAnswer {
  return {
    status: 404,
    headers: { ...ours, ...coded("unknown_version"), ...PLAIN_TEXT },
    text: `error finding function ${target}: it has no version and no tag ${version}\n`,
  };
}

/** As many connections as may have changed their protocol already. */
export function tooManyUpgradesAnswer(ours: Headers): PlatformAnswer {
  return {
    status: 503,
    headers: { ...ours, "retry-after": "5", [INTERNAL_KEY]: "proxy", ...coded("too_many_upgrades"), ...PLAIN_TEXT },
    text: "too many connections that have changed their protocol are open\n",
  };
}

/** Nobody can tell whether there is such a function: worth another try. */
export function unsureFunctionAnswer(target: string, why: string, ours: Headers): PlatformAnswer {
  return {
    status: 503,
    headers: {
      ...ours,
      "retry-after": "1",
      [INTERNAL_KEY]: "proxy",
      ...coded("function_unknown_yet"),
      ...PLAIN_TEXT,
    },
    text: `cannot tell whether function ${target} exists: ${why}\n`,
  };
}

/** @param internal which part of the platform has failed the call */
export function failureAnswer(
  error: FaasError,
  internal: string,
  ours: Headers,
  retryAfterSeconds: number | undefined,
): PlatformAnswer {
  const again: Headers = retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) };
  return {
    status: STATUS[error.kind],
    headers: { ...ours, [INTERNAL_KEY]: internal, ...coded(error.code), ...again, ...PLAIN_TEXT },
    text: `${error.message}\n`,
  };
}

import type { OutgoingHttpHeader, OutgoingHttpHeaders } from "node:http";

/** Marks an answer that the function did not make, so that callers know it is safe to try again. */
export const INTERNAL_HEADER = "X-OpenFaaS-Internal";
export const INTERNAL_WATCHDOG = "of-watchdog";

/** {@link INTERNAL_HEADER} as Node gives header names. */
export const INTERNAL_KEY = "x-openfaas-internal";

/** Whether a header, or trailer, is the platform's mark. @param name in any case */
export function isPlatformMark(name: unknown): boolean {
  return typeof name === "string" && name.length === INTERNAL_KEY.length && name.toLowerCase() === INTERNAL_KEY;
}

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

/** Headers in any form that Node takes, without the platform's mark; the same object where there is none. */
export function withoutMark<H extends Headers | undefined>(headers: H): H {
  if (headers === undefined || headers === null) return headers;
  if (!Array.isArray(headers)) {
    for (const name in headers) {
      if (isPlatformMark(name)) {
        return Object.fromEntries(Object.entries(headers).filter(([other]) => !isPlatformMark(other))) as H;
      }
    }
    return headers;
  }
  const nested = Array.isArray(headers[0]);
  const nameAt = (index: number) => (nested ? (headers[index] as string[])[0] : headers[index - (index % 2)]);
  return headers.some((_, index) => isPlatformMark(nameAt(index)))
    ? (headers.filter((_, index) => !isPlatformMark(nameAt(index))) as H)
    : headers;
}

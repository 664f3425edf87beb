import type { IncomingHttpHeaders } from "node:http";
import type { Sticky } from "../../../contract/versions/sticky.ts";

/** Name of the cookie that holds a caller's key. */
export function cookieName(functionName: string): string {
  return `fl-v-${functionName}`;
}

/**
 * By what the caller is told apart from others; undefined where it says nothing.
 * @param cookie of {@link cookieName}
 * @param url for the function, with its query
 */
export function readStickyKey(
  sticky: Sticky,
  cookie: string,
  headers: IncomingHttpHeaders,
  url: string,
): string | undefined {
  if (sticky.kind === "cookie") return readValue(headers.cookie, cookie, ";");
  if (sticky.kind === "query") {
    const queryAt = url.indexOf("?");
    return queryAt < 0 ? undefined : readValue(url.slice(queryAt + 1), sticky.name, "&");
  }
  const value = headers[sticky.name];
  return (Array.isArray(value) ? value.join(",") : value) || undefined;
}

/** The first value of `name` in a list of `name=value`, as it is written; undefined for none, and for an empty one. */
function readValue(list: string | undefined, name: string, separator: string): string | undefined {
  if (list === undefined) return undefined;
  const wanted = `${name}=`;
  for (let from = 0; from >= 0 && from < list.length; ) {
    while (list[from] === " ") from++;
    const to = list.indexOf(separator, from);
    if (list.startsWith(wanted, from)) {
      return list.slice(from + wanted.length, to < 0 ? list.length : to).trim() || undefined;
    }
    from = to < 0 ? -1 : to + 1;
  }
  return undefined;
}

import { normalizePath } from "../../../contract/routes/route-path.ts";

/** What of a request's target routes are chosen by. */
export interface RequestTarget {
  /** In normal form, for comparisons. */
  readonly path: string;
  /** As it came, with its query. */
  readonly url: string;
  /** Where in `url` its query begins, or its end. */
  readonly pathEnd: number;
}

export function readRequestTarget(url: string): RequestTarget {
  const queryAt = url.indexOf("?");
  const pathEnd = queryAt < 0 ? url.length : queryAt;
  return { path: normalizePath(url.slice(0, pathEnd)), url, pathEnd };
}

const UNCLEAN = /\/\/|\/\.\.?(\/|$)/;

/** Whether a path has empty, `.` or `..` segments, also escaped: what it leads to is not what it seems to. */
export function isUnclean({ path }: RequestTarget): boolean {
  return UNCLEAN.test(path);
}

/**
 * `host[:port]` as routes write hosts.
 * @returns "" for none
 */
export function hostOf(header: string | undefined): string {
  if (header === undefined) return "";
  const colon = header.lastIndexOf(":");
  const name = colon < 0 || header.endsWith("]") ? header : header.slice(0, colon);
  const host = name.endsWith(".") ? name.slice(0, -1) : name;
  return host.toLowerCase();
}

/** Where in `url` what follows the first `segments` segments begins. */
export function restAfter({ url, pathEnd }: RequestTarget, segments: number): number {
  let at = 0;
  for (let left = segments; left > 0 && at >= 0; left--) at = url.indexOf("/", at + 1);
  if (segments === 0) return 0;
  return at < 0 || at > pathEnd ? pathEnd : at;
}

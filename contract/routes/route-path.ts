const UNRESERVED = /[A-Za-z0-9._~-]/;
const ESCAPE = /%([0-9a-fA-F]{2})/g;

/**
 * A path as others that mean the same are written: letters, digits and `-._~` never escaped, all other escapes in upper
 * case. An escaped slash stays one, so that the number of segments never changes.
 * @see RFC 3986 §6.2.2
 */
export function normalizePath(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(ESCAPE, (written, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : written.toUpperCase();
  });
}

const SEGMENT = /^(?:[\w.~!$&'()+,;=:@-]|%[\dA-F]{2})+$/;
const MAX_PATH_CHARS = 512;
export const PATH_RULE = `must be a path such as /shop or /, without empty segments, "." or "..", of at most ${MAX_PATH_CHARS} characters`;

/**
 * The path of a route in its normal form.
 * @param prefix whether it stands for all below it, so that a slash at its end means nothing
 * @returns undefined for what is no path
 */
export function parseRoutePath(text: string, prefix: boolean): string | undefined {
  if (text.length > MAX_PATH_CHARS || !text.startsWith("/")) return undefined;
  const path = normalizePath(prefix && text.length > 1 && text.endsWith("/") ? text.slice(0, -1) : text);
  if (path === "/") return path;
  const segments = path.slice(1).split("/");
  // The path of a single one may end in a slash, which tells it from the one without.
  if (!prefix && segments.at(-1) === "") segments.pop();
  const fits = segments.every((segment) => SEGMENT.test(segment) && segment !== "." && segment !== "..");
  return fits ? path : undefined;
}

/** First segments of paths that the gateway itself answers. */
const BUILT_IN: ReadonlySet<string> = new Set([
  ...["function", "async-function", "system", "ui", "healthz", "metrics", "announce", "broker", "webhook"],
]);

/** Whether a path, in its normal form, is the gateway's own: no route without a host is for it. */
export function isBuiltIn(path: string): boolean {
  const end = path.indexOf("/", 1);
  return path === "/" || BUILT_IN.has(path.slice(1, end < 0 ? undefined : end));
}

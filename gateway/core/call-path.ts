/** Where `GET` and `DELETE` below `/async-function/` lead. */
export interface CallPath {
  /** Decoded. */
  readonly id: string;
  /** Whether it ends in `/result`. */
  readonly result: boolean;
  /** Raw, without `?`. */
  readonly query: string;
}

const MAX_ID_CHARS = 256;
/** Each of its characters takes up to nine where it is escaped. */
const MAX_PATH_CHARS = 9 * MAX_ID_CHARS + "/result".length;

/**
 * Splits `<prefix>ID[/result][?query]`.
 * @param url the raw request target, which starts with `prefix`
 * @returns undefined when no call can be meant
 */
export function parseCallPath(url: string, prefix: string): CallPath | undefined {
  const queryAt = url.indexOf("?");
  const path = url.slice(prefix.length, queryAt < 0 ? url.length : queryAt);
  if (path.length > MAX_PATH_CHARS) return undefined;
  const query = queryAt < 0 ? "" : url.slice(queryAt + 1);
  const [segment = "", second, ...more] = path.split("/");
  if (segment === "" || more.length > 0 || (second !== undefined && second !== "result")) return undefined;
  try {
    const id = decodeURIComponent(segment);
    return id.length > MAX_ID_CHARS ? undefined : { id, result: second === "result", query };
  } catch {
    return undefined; // an escape that is none: no such call
  }
}

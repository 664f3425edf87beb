import { readFile } from "node:fs/promises";
import { FaasError } from "../../../../contract/errors.ts";

/** Whoever renews credentials does it long before they expire. */
const MAX_AGE_MS = 30_000;

/**
 * The text of a file that somebody renews: read at the first call, and again when it may be out of date.
 * @param what names the file in errors
 * @returns fails as `invalid` when the file cannot be read
 */
export function reloadingFile(
  path: string,
  what: string,
  now: () => number = () => performance.now(),
): () => Promise<string> {
  let text: string | undefined;
  let readAt = 0;
  return async () => {
    if (text !== undefined && now() - readAt <= MAX_AGE_MS) return text;
    try {
      text = await readFile(path, "utf8");
    } catch (cause) {
      throw new FaasError("invalid", `${what} cannot be read`, { cause });
    }
    readAt = now();
    return text;
  };
}

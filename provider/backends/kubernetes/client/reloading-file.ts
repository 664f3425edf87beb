import { readFile } from "node:fs/promises";
import { FaasError } from "../../../../contract/errors.ts";

/** Credentials are renewed long before they expire. */
const MAX_AGE_MS = 30_000;

/**
 * The text of a file that somebody renews: read at the first call, and again when it may be out of date. One that is
 * empty or cannot be read then leaves what it was.
 * @param what names the file in errors
 * @returns fails as `invalid` when the file cannot be read the first time
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
      const read = await readFile(path, "utf8");
      if (text === undefined || read.trim() !== "") text = read;
    } catch (cause) {
      if (text !== undefined) return text; // it is being replaced: the next call looks again
      throw new FaasError("invalid", `${what} cannot be read`, { cause });
    }
    readAt = now();
    return text;
  };
}

import { FaasError } from "../../../contract/errors.ts";

/** What a file system takes in one name, and Linux in one path with room for the folder that it is unpacked into. */
const MAX_NAME_BYTES = 255;
const MAX_PATH_BYTES = 1024;
const MAX_DEPTH = 64;

/** A refusal of one entry. Its name is quoted, as it may hold anything. */
export function refuseEntry(path: string, why: string): FaasError {
  return new FaasError("invalid", `build context: ${JSON.stringify(path.slice(0, 200))} ${why}`);
}

/**
 * The segments of an archive entry's path below the context's root; none for the root itself.
 * @throws {FaasError} `invalid` when the path leaves the root or is none that a file system should see
 */
export function parseEntryPath(path: string): string[] {
  if (path.startsWith("/")) throw refuseEntry(path, "has an absolute path");
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refuseEntry(path, `has a path of over ${MAX_PATH_BYTES} bytes`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get through
  if (/[\u0000-\u001f\u007f]/.test(path)) throw refuseEntry(path, "has a control character in its name");
  if (path.includes("\\")) throw refuseEntry(path, "has a backslash in its name");
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..")) throw refuseEntry(path, "leaves the context with ..");
  if (segments.length > MAX_DEPTH) throw refuseEntry(path, `is nested deeper than ${MAX_DEPTH} folders`);
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_NAME_BYTES)) {
    throw refuseEntry(path, `has a name of over ${MAX_NAME_BYTES} bytes`);
  }
  return segments;
}

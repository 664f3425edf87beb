const MAX_PATH_BYTES = 1024;
const MAX_DEPTH = 64;

/** Something about a file that was chosen is wrong; its name is quoted. */
export class UploadProblem extends Error {
  override readonly name = "UploadProblem";
}

/** @param path as it came; it is quoted, as it may hold anything */
export function refuseFile(path: string, why: string): UploadProblem {
  return new UploadProblem(`${JSON.stringify(path.slice(0, 200))} ${why}`);
}

/**
 * A path within a context, without needless parts. The rules are the platform's, which checks them again.
 * @throws {UploadProblem} when it leads out of it, or is none that a file system should see
 */
export function cleanPath(path: string): string {
  if (path.includes("\\")) throw refuseFile(path, "has a backslash in its name");
  if (path.startsWith("/") || /^[a-z]:/i.test(path)) throw refuseFile(path, "has an absolute path");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get through
  if (/[\u0000-\u001f\u007f]/.test(path)) throw refuseFile(path, "has a control character in its name");
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuseFile(path, "leads out of the folder with ..");
  if (parts.length === 0) throw refuseFile(path, "has no name");
  if (parts.length > MAX_DEPTH) throw refuseFile(path, `is nested deeper than ${MAX_DEPTH} folders`);
  const clean = parts.join("/");
  if (new TextEncoder().encode(clean).length > MAX_PATH_BYTES) {
    throw refuseFile(path, `has a path of over ${MAX_PATH_BYTES} bytes`);
  }
  return clean;
}

import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import type { UiFile } from "../../../contract/ui/deploy.ts";

const MAX_FILES = 500;
const MAX_BYTES = 4 * 1024 ** 2;

/** All files below a folder that came with the gateway, sorted by path. None when there is no such folder. */
export async function readFiles(folder: string): Promise<UiFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(ifMissing);
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  if (paths.length > MAX_FILES) throw new FaasError("internal", `${folder} has more than ${MAX_FILES} files`);
  const files: UiFile[] = [];
  let bytes = 0;
  for (const path of paths.sort()) {
    const content = await readFile(path);
    bytes += content.length;
    if (bytes > MAX_BYTES) throw new FaasError("internal", `${folder} has more than ${MAX_BYTES} bytes`);
    files.push({ path: relative(folder, path).split(sep).join("/"), ...encoded(content) });
  }
  return files;
}

/** Nothing, where there is nothing. */
export function ifMissing(error: NodeJS.ErrnoException): [] {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
  throw error;
}

function encoded(content: Buffer): Omit<UiFile, "path"> {
  const text = content.toString("utf8");
  return Buffer.from(text, "utf8").equals(content)
    ? { text }
    : { text: content.toString("base64"), encoding: "base64" };
}

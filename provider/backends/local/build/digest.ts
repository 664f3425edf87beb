import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";

/** Grows when artefacts of the same context come to look different. */
const FORMAT = 1;

/** Every path below `root`, folders before what they hold, in an order that depends on the names only. */
export async function listTree(root: string): Promise<{ path: string; kind: "file" | "folder" | "other" }[]> {
  const found: { path: string; kind: "file" | "folder" | "other" }[] = [];
  const visit = async (folder: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true });
    entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    for (const entry of entries) {
      const path = join(folder, entry.name);
      found.push({ path, kind: entry.isFile() ? "file" : entry.isDirectory() ? "folder" : "other" });
      if (entry.isDirectory()) await visit(path);
    }
  };
  await visit(root);
  return found;
}

/**
 * sha256 as hex over the unpacked context in `root` and the build arguments: two builds with the same digest have the
 * same paths, contents and right to execute.
 */
export async function digestContext(
  root: string,
  buildArgs: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  // JSON keeps the parts of a line apart, whatever a name holds.
  const add = (...parts: unknown[]) => hash.update(`${JSON.stringify(parts)}\n`);
  add("faaslane", FORMAT);
  for (const name of Object.keys(buildArgs).sort()) add("arg", name, buildArgs[name]);
  for (const { path, kind } of await listTree(root)) {
    signal.throwIfAborted();
    const name = relative(root, path);
    if (kind === "file") {
      const executable = ((await lstat(path)).mode & 0o111) !== 0;
      add("file", name, executable, await digestFile(path, signal));
    } else add(kind, name);
  }
  return hash.digest("hex");
}

async function digestFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash, { signal });
  return hash.digest("hex");
}

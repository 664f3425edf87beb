import { createHash } from "node:crypto";
import { open, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";

/** Grows when artefacts of the same context come to look different. */
const FORMAT = 1;

/** Every path below `root`, folders before what they hold, in an order that depends on the names only. */
export async function listFiles(root: string): Promise<{ path: string; kind: "file" | "folder" | "other" }[]> {
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
  const tree = await listFiles(root);
  for (let from = 0; from < tree.length; from += AT_A_TIME) {
    signal.throwIfAborted();
    const some = tree.slice(from, from + AT_A_TIME);
    const lines = await Promise.all(
      some.map(async ({ path, kind }) => {
        const name = relative(root, path);
        return kind === "file" ? ["file", name, ...(await digestFile(path, signal))] : [kind, name];
      }),
    );
    for (const line of lines) add(...line);
  }
  return hash.digest("hex");
}

/** Files that are read at a time: most are small, and each takes several turns of the event loop. */
const AT_A_TIME = 32;
/** Up to here a file is read as a whole, which costs far less than a stream. */
const WHOLE_BYTES = 64 * 1024;

async function digestFile(path: string, signal: AbortSignal): Promise<[executable: boolean, digest: string]> {
  const hash = createHash("sha256");
  await using file = await open(path, "r");
  const { mode, size } = await file.stat();
  if (size <= WHOLE_BYTES) hash.update(await file.readFile());
  else await pipeline(file.createReadStream({ autoClose: false }), hash, { signal });
  return [(mode & 0o111) !== 0, hash.digest("hex")];
}

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isAbsent } from "./files.ts";
import type { RegistryLayout } from "./layout.ts";

/** Names may have as many parts as fit into 255 characters. */
const MAX_DEPTH = 128;

/** Names of all repositories that have ever held something, in no order. */
export async function* listRepositories({ repositories }: RegistryLayout): AsyncGenerator<string> {
  yield* below(repositories, "", 0);
}

async function* below(root: string, name: string, depth: number): AsyncGenerator<string> {
  if (depth > MAX_DEPTH) return;
  let entries: string[];
  try {
    entries = await readdir(join(root, name));
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  if (entries.some((entry) => entry.startsWith("_"))) yield name;
  for (const entry of entries) {
    if (!entry.startsWith("_")) yield* below(root, name === "" ? entry : `${name}/${entry}`, depth + 1);
  }
}

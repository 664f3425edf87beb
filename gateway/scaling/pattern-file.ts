import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { z } from "zod";
import type { StoredPattern } from "../core/scaling/daily-pattern.ts";

export const storedPattern = z.object({
  watchedSince: z.number(),
  days: z.record(z.string(), z.array(z.number().int())),
  hits: z.number().int(),
  misses: z.number().int(),
});
const patterns = z.record(z.string(), storedPattern);

/** @returns nothing learned when there is no such file. @throws {Error} naming the file when it is not one of ours */
export async function readPatterns(path: string): Promise<Record<string, StoredPattern>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  try {
    return patterns.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${path} does not hold learned patterns`, { cause });
  }
}

/** The old file stays whole until the new one is. */
export async function writePatterns(path: string, learned: Readonly<Record<string, StoredPattern>>): Promise<void> {
  const draft = `${path}.new`;
  try {
    await writeFile(draft, JSON.stringify(learned), { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

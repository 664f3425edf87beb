import { open } from "node:fs/promises";
import { syncFolder } from "../files.ts";
import { listFiles } from "./digest.ts";

/** Disks take several syncs at a time and merge them. */
const CONCURRENCY = 16;

/** Brings every file and folder in `root`, and `root` itself, to the disk. */
export async function syncTree(root: string): Promise<void> {
  const pending = (await listFiles(root)).filter(({ kind }) => kind !== "other").values();
  const work = async () => {
    for (const { path, kind } of pending) await (kind === "folder" ? syncFolder(path) : syncFile(path));
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  await syncFolder(root);
}

async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}

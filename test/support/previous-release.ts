import { execFile } from "node:child_process";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT, temporaryFolder } from "./platform.ts";

const run = promisify(execFile);

/** While there are no releases, one of so many commits ago stands for the previous one. */
const COMMITS_BACK = 40;

/** The commit of the release before this one: `PREVIOUS_RELEASE`, else the last tag, else some way back; undefined where the history has none. */
export async function previousRelease(): Promise<string | undefined> {
  const { PREVIOUS_RELEASE } = process.env;
  if (PREVIOUS_RELEASE) return PREVIOUS_RELEASE;
  const git = async (...args: string[]) => (await run("git", args, { cwd: ROOT })).stdout.trim();
  try {
    const tags = await git("tag", "--merged", "HEAD~1", "--sort=-creatordate");
    const [tag] = tags.split("\n");
    return tag || (await git("rev-parse", "--verify", `HEAD~${COMMITS_BACK}`));
  } catch {
    return undefined;
  }
}

/** Its sources in a folder of their own, with the packages of these. */
export async function checkOut(commit: string): Promise<{ readonly root: string; remove(): Promise<void> }> {
  const { path, remove } = await temporaryFolder();
  await run("sh", ["-c", 'git archive "$1" | tar -x -C "$2"', "sh", commit, path], { cwd: ROOT });
  await symlink(join(ROOT, "node_modules"), join(path, "node_modules"));
  return { root: path, remove };
}

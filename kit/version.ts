import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { VersionInfo } from "../contract/info.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/**
 * The release in the `package.json` of this source tree, and the commit it was built from: that of the checkout, or the
 * one that the build of an image wrote to `dist/commit`.
 */
export function readVersion(root = ROOT): VersionInfo {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const sha = readCheckout(join(root, ".git")) ?? readCommit(join(root, "dist", "commit")) ?? "unknown";
  return { commit_message: `faaslane ${version}`, release: version, sha };
}

/** The commit that is checked out. Git's files are read, as git itself may be missing. @see gitrepository-layout(5) */
function readCheckout(path: string): string | undefined {
  // A work tree has a file there, which names its folder.
  const elsewhere = /^gitdir: (.+)$/m.exec(readText(path) ?? "")?.[1];
  const folder = elsewhere === undefined ? path : resolve(dirname(path), elsewhere);
  const ref = /^ref: (.+)$/m.exec(readText(join(folder, "HEAD")) ?? "")?.[1];
  if (ref === undefined) return readCommit(join(folder, "HEAD"));
  const common = resolve(folder, readText(join(folder, "commondir"))?.trim() ?? ".");
  return readCommit(join(common, ref)) ?? readPacked(join(common, "packed-refs"), ref);
}

function readPacked(path: string, ref: string): string | undefined {
  const line = readText(path)
    ?.split("\n")
    .find((line) => line.endsWith(` ${ref}`));
  return asCommit(line?.slice(0, -ref.length - 1));
}

function readCommit(path: string): string | undefined {
  return asCommit(readText(path)?.trim());
}

function asCommit(text: string | undefined): string | undefined {
  return text !== undefined && COMMIT.test(text) ? text : undefined;
}

/** Undefined for what is not there or cannot be read: the platform runs without knowing its commit. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

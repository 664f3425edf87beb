import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { readVersion } from "../../kit/version.ts";

const HERE = "1".repeat(40);
const OTHER = "2".repeat(40);
const HEAD = "ref: refs/heads/main\n";

let root: string | undefined;
afterEach(() => {
  if (root !== undefined) rmSync(root, { recursive: true });
  root = undefined;
});

/** A source tree with these files. */
function tree(files: Readonly<Record<string, string>>): string {
  root = mkdtempSync(join(tmpdir(), "version-"));
  for (const [name, text] of Object.entries({ "package.json": '{"version":"1.2.3"}', ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

test.each<[where: string, files: Readonly<Record<string, string>>, folder: string, sha: string]>([
  ["a branch", { ".git/HEAD": HEAD, ".git/refs/heads/main": `${HERE}\n` }, ".", HERE],
  [
    "a branch among packed ones",
    { ".git/HEAD": HEAD, ".git/packed-refs": `# pack-refs\n${OTHER} refs/heads/x/main\n${HERE} refs/heads/main\n` },
    ".",
    HERE,
  ],
  ["a commit without a branch", { ".git/HEAD": `${HERE}\n` }, ".", HERE],
  [
    "a second work tree",
    {
      "tree/.git": "gitdir: ../.git/worktrees/tree\n",
      "tree/package.json": '{"version":"1.2.3"}',
      ".git/worktrees/tree/HEAD": HEAD,
      ".git/worktrees/tree/commondir": "../..\n",
      ".git/refs/heads/main": `${HERE}\n`,
    },
    "tree",
    HERE,
  ],
  ["an image", { "dist/commit": HERE }, ".", HERE],
  ["an image whose build was not told", { "dist/commit": "" }, ".", "unknown"],
  ["a checkout with an image's file", { ".git/HEAD": `${HERE}\n`, "dist/commit": OTHER }, ".", HERE],
  ["a branch without a commit", { ".git/HEAD": HEAD }, ".", "unknown"],
  ["a copy of the files", {}, ".", "unknown"],
])("%s tells its commit", (_where, files, folder, sha) => {
  expect(readVersion(join(tree(files), folder))).toEqual({ commit_message: "faaslane 1.2.3", release: "1.2.3", sha });
});

test("the release is that of this source tree", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  expect(readVersion().release).toBe(version);
});

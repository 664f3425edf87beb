import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { PruneReport, PruneRequest } from "../../contract/prune.ts";
import { createLogger } from "../../kit/log.ts";
import { openBuilder } from "../../provider/backends/local/build/builder.ts";
import { clearTree } from "../../provider/backends/local/clear-tree.ts";
import { removeTree } from "../../provider/backends/local/files.ts";
import { treeSize } from "../../provider/backends/local/tree-size.ts";
import { deployment, inProcess, type LocalFixture, openFixture, until, untilReady } from "../provider/local/support.ts";
import { tarOf } from "../provider/tar-fixture.ts";
import { testNeeding } from "../support/needing.ts";
import { ROOT } from "../support/platform.ts";
import { missingSmallDisk } from "../support/small-disk.ts";

/** Images whose install steps have made the worst of their folders: they go, and nothing else does. */
let top: string;
let tree: string;
let fixture: LocalFixture | undefined;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "faaslane-images-"));
  chmodSync(top, 0o755);
  tree = join(top, "tree");
  mkdirSync(tree);
});
afterEach(async () => {
  await fixture?.close();
  fixture = undefined;
  spawnSync("rm", ["-rf", top]);
});

/** An image of the backend, and the folder of its artefact. */
async function addImage(reference: string): Promise<string> {
  fixture ??= await openFixture();
  const digest = await fixture.addImage(reference, inProcess(`export default (req, res) => res.end("${reference}");`));
  return join(fixture.dataDir, "artefacts", digest);
}
const prune = async (request: PruneRequest) => (await fixture?.backend.images?.prune(request)) as PruneReport;
const left = () => readdirSync(join(fixture?.dataDir ?? "", "artefacts"));

const builtNothing = { artefactPath: String, artefactsDir: "", hold: () => () => {}, register: () => {} };

const shell = (script: string, cwd = tree) => {
  const { status, stderr } = spawnSync("sh", ["-ec", script], { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
};

test("links that point out of an image", async () => {
  writeFileSync(join(top, "file"), "kept");
  mkdirSync(join(top, "folder"));
  writeFileSync(join(top, "folder/inner"), "x".repeat(10_000));
  const path = await addImage("a:1");
  for (const [name, target] of [
    ["f", "file"],
    ["d", "folder"],
    ["up", "."],
    ["nowhere", "gone"],
  ] as const) {
    symlinkSync(join(top, target), join(path, name));
  }
  symlinkSync("..", join(path, "parent"));
  symlinkSync("loop", join(path, "loop"));
  expect(await treeSize(path)).toBeLessThan(1_000);
  expect(await prune({ all: true })).toMatchObject({ removed: [{ images: ["a:1"] }], problems: [] });
  expect(left()).toEqual([]);
  expect([readFileSync(join(top, "file"), "utf8"), readdirSync(join(top, "folder"))]).toEqual(["kept", ["inner"]]);
});

test("a link in the place of an image", async () => {
  const path = await addImage("a:1");
  rmSync(path, { recursive: true });
  writeFileSync(join(top, "kept"), "");
  symlinkSync(top, path);
  expect(await prune({ all: true })).toMatchObject({ problems: [] });
  expect([left(), existsSync(join(top, "kept"))]).toEqual([[], true]);
});

test("files with many names, also outside", async () => {
  writeFileSync(join(top, "outside"), "x".repeat(5_000));
  linkSync(join(top, "outside"), join(tree, "inside"));
  writeFileSync(join(tree, "a"), "y".repeat(50_000));
  for (let i = 0; i < 100; i++) linkSync(join(tree, "a"), join(tree, `a${i}`));
  expect(await treeSize(tree)).toBe(55_000);
  await clearTree(tree);
  expect(readFileSync(join(top, "outside"), "utf8")).toBe("x".repeat(5_000));
  expect(existsSync(tree)).toBe(false);
});

test("files that are all holes", async () => {
  writeFileSync(join(tree, "holes"), "x");
  truncateSync(join(tree, "holes"), 2 ** 40);
  expect(await treeSize(tree)).toBeLessThan(2 ** 20);
});

test("pipes, sockets and devices", async () => {
  shell("mkfifo pipe");
  spawnSync(
    process.execPath,
    ["-e", 'require("net").createServer().listen("socket", () => process.kill(process.pid, "SIGKILL"))'],
    {
      cwd: tree,
    },
  );
  expect(readdirSync(tree).sort()).toEqual(["pipe", "socket"]);
  expect(await treeSize(tree)).toBe(0);
  await clearTree(tree);
  expect(existsSync(tree)).toBe(false);
});

test("names that are no text, or mean something to a shell", async () => {
  shell(String.raw`printf x > "$(printf 'bad\377name')"; mkdir "$(printf '\300\200')"; printf x > "$(printf '\300\200/\376')"
    printf x > "$(printf 'a\nb')"; printf x > ./-rf; printf x > '*'; printf x > ' '; printf x > '\'; printf x > '...'`);
  expect(await treeSize(tree)).toBe(8);
  await removeTree(tree);
  expect(existsSync(tree)).toBe(false);
});

test("folders deeper than a path is long", async () => {
  const script = `const { mkdirSync, writeFileSync } = require("fs");
    for (let i = 0; i < 60; i++) {
      writeFileSync("file", "x");
      mkdirSync("d".repeat(200));
      process.chdir("d".repeat(200));
    }`;
  expect(spawnSync(process.execPath, ["-e", script], { cwd: tree, encoding: "utf8" }).stderr).toBe("");
  expect(await treeSize(tree)).toBeGreaterThan(1);
  await removeTree(tree);
  expect(existsSync(tree)).toBe(false);
});

test("folders deeper than there are descriptors", async () => {
  shell("for i in $(seq 1500); do mkdir d; cd d; done; printf x > last");
  const script = `import { clearTree } from ${JSON.stringify(join(ROOT, "provider/backends/local/clear-tree.ts"))};
    await clearTree(process.argv[1]);`;
  const limited = spawnSync(
    "sh",
    ["-c", 'ulimit -n 64; exec "$@"', "sh", process.execPath, "--input-type=module", "-e", script, tree],
    { encoding: "utf8" },
  );
  expect(`${limited.status} ${limited.stderr}`).toBe("0 ");
  expect(existsSync(tree)).toBe(false);
});

const asRoot = testNeeding(process.geteuid?.() === 0 ? undefined : "only root can become somebody else");
const OTHER = 65532;

/** Counts and clears the tree as another user. @returns what was thrown, and the size */
function clearAsOther(): { size: number; error: string } {
  const module = (name: string) => JSON.stringify(join(ROOT, `provider/backends/local/${name}.ts`));
  const script = `import { removeTree } from ${module("files")};
    import { treeSize } from ${module("tree-size")};
    const size = await treeSize(process.argv[1]);
    const error = await removeTree(process.argv[1]).then(() => "", ({ code }) => code);
    console.log(JSON.stringify({ size, error }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script, tree], {
    encoding: "utf8",
    uid: OTHER,
    gid: OTHER,
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as { size: number; error: string };
}

asRoot("folders that their owner may not write to, or not even look into", () => {
  shell(`mkdir -p a/b/c closed/in; printf xx > a/b/c/f; printf x > a/b/f; printf x > closed/in/f
    chmod 444 a/b/c/f; chmod 555 a/b/c a/b a; chmod 000 closed/in; chmod 100 closed; chmod 555 .`);
  spawnSync("chown", ["-R", `${OTHER}:${OTHER}`, top]);
  expect(clearAsOther()).toEqual({ size: 3, error: "" });
  expect(existsSync(tree)).toBe(false);
});

asRoot("folders of somebody else, for who is not root", () => {
  shell("mkdir -p theirs; printf x > theirs/f; printf x > mine");
  spawnSync("chown", ["-R", `${OTHER}:${OTHER}`, top]);
  chownSync(join(tree, "theirs"), 0, 0);
  chmodSync(join(tree, "theirs"), 0o755);
  expect(clearAsOther()).toEqual({ size: 2, error: "EACCES" });
  expect(existsSync(join(tree, "theirs/f"))).toBe(true);
});

const withMounts = testNeeding(missingSmallDisk());

withMounts("an image that cannot be removed is told once, tried again when asked to, and in nobody's way", async () => {
  const [first, second] = [await addImage("a:1"), await addImage("b:1")];
  const locked = join(first, "locked");
  writeFileSync(locked, "x");
  const attribute = (flag: string, path: string) => spawnSync("chattr", [flag, path]).status === 0;
  // Where the file system knows no such attribute, a mount on it is as much in the way.
  const isLocked = attribute("+i", locked);
  if (!isLocked) shell(`mkdir mnt; mount --bind mnt mnt`, first);
  const { removed, bytes, problems } = await prune({ all: true });
  expect([removed.length, bytes, problems]).toEqual([
    2,
    removed[1]?.bytes,
    [expect.stringMatching(/could not be removed: E(PERM|BUSY)$/)],
  ]);
  expect([existsSync(first), existsSync(second), left().length]).toEqual([false, false, 1]);
  const [stuck = ""] = left();
  await addImage("c:1");
  await addImage("c:1x");
  await until("it has been looked at again", async () => (await prune({})).problems.length === 1);
  const path = join(fixture?.dataDir ?? "", "artefacts", stuck);
  if (isLocked) attribute("-i", join(path, "locked"));
  else shell("umount mnt", path);
  expect((await prune({})).problems).toEqual([]);
  expect(left()).not.toContain(stuck);
  expect(fixture?.logged.filter((line) => line.includes("could not remove the files")).length).toBe(1);
});

withMounts("leftovers that cannot be removed keep neither the platform nor builds from starting", async () => {
  await addImage("a:1");
  const { dataDir } = fixture as LocalFixture;
  const stuck = ["builds/left", "functions/gone", "functions/openfaas-fn/gone.1"].map((name) => join(dataDir, name));
  await fixture?.backend.functions.create(deployment("kept", "a:1"));
  for (const path of stuck) {
    mkdirSync(path, { recursive: true });
    shell(`mount --bind ${path} ${path}`);
  }
  try {
    await fixture?.reopen();
    await untilReady((fixture as LocalFixture).backend, "kept");
    const builder = openBuilder({ dataDir, images: builtNothing, log: createLogger("silent"), env: {} });
    const archive = join(top, "archive.tar");
    writeFileSync(archive, tarOf({ name: "x", content: "x" }));
    const build = builder.build(archive, { image: "b:1" }, new AbortController().signal)[Symbol.asyncIterator]();
    await expect(build.next()).rejects.toThrow(/has no faaslane.json/);
    await builder.close();
  } finally {
    for (const path of stuck) shell(`umount ${path}`);
  }
});

test("30,000 files: nothing waits for them", async () => {
  for (let i = 0; i < 100; i++) mkdirSync(join(tree, `d${i}`));
  for (let i = 0; i < 30_000; i++) writeFileSync(join(tree, `d${i % 100}/f${i}`), "");
  const delaysOf = async (work: Promise<unknown>) => {
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    await work;
    delay.disable();
    return delay.percentile(99) / 1e6;
  };
  // Others on the machine hold up everybody.
  const idleMs = await delaysOf(pause(1000));
  for (const work of [treeSize, clearTree]) {
    const ms = await delaysOf(work(tree));
    expect(ms / idleMs).toBeLessThan(6);
  }
  expect(existsSync(tree)).toBe(false);
}, 120_000);

test("what somebody goes on writing into", async () => {
  const writer = setInterval(() => {
    try {
      writeFileSync(join(tree, `${Math.random()}`), "");
    } catch {
      // It is gone.
    }
  }, 0);
  for (let i = 0; i < 500; i++) writeFileSync(join(tree, `f${i}`), "");
  await clearTree(tree);
  clearInterval(writer);
  expect(statSync(top).isDirectory()).toBe(true);
  expect(existsSync(tree)).toBe(false);
}, 120_000);

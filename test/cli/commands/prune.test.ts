import { expect, test } from "@jest/globals";
import { json, jsonOf } from "../support/fake-gateway.ts";
import { openScene } from "../support/scene.ts";

const REPORT = {
  removed: [
    { images: ["a:1", "a:2"], digest: `sha256:${"ab".repeat(32)}`, bytes: 3 * 1024 ** 2 },
    { images: [], digest: `sha256:${"cd".repeat(32)}`, bytes: 10 },
  ],
  bytes: 3 * 1024 ** 2 + 10,
  pending: 0,
  kept: { images: 0, bytes: 0 },
  problems: [],
};

test("prune shows what went and what that has freed", async () => {
  await using scene = await openScene(() => json(REPORT));
  const { code, stdout } = await scene.run("prune");
  expect([code, stdout]).toEqual([
    0,
    "Removed: a:1, a:2 (sha256:abababababab, 3MiB)\nRemoved: <none> (sha256:cdcdcdcdcdcd, 10B)\nFreed: 3MiB\n",
  ]);
  expect(scene.gateway.seen.map((seen) => [seen.method, seen.path, jsonOf(seen)])).toEqual([
    ["POST", "/system/prune", { all: false, dryRun: false }],
  ]);
});

test("a dry run says so, and asks for nothing more", async () => {
  await using scene = await openScene(() => json({ ...REPORT, kept: { images: 2, bytes: 2048 } }));
  const { stdout } = await scene.run("prune --dry-run --all", { terminal: true });
  expect(stdout).toContain("Would remove: a:1, a:2");
  expect(stdout).toContain("Would free: 3MiB\nKept for a while, although no function uses them: 2 images, 2KiB");
  expect(stdout).toContain("faaslane prune --all");
  expect(jsonOf(scene.gateway.seen[0] ?? { body: Buffer.from("") })).toEqual({ all: true, dryRun: true });
});

test.each<[answer: string, args: string, terminal: boolean, asked: boolean, sent: boolean]>([
  ["y", "prune --all", true, true, true],
  ["n", "prune -a", true, true, false],
  ["", "prune --all", true, true, false],
  ["", "prune --all --force", true, false, true],
  ["", "prune --all", false, false, true],
  ["", "prune", true, false, true],
])("answer %j to %s, terminal %s: asked %s, sent %s", async (answer, args, terminal, asked, sent) => {
  await using scene = await openScene(() => json(REPORT));
  const { code, stderr } = await scene.run(args, { terminal, input: `${answer}\n` });
  expect(stderr.includes("[y/N]")).toBe(asked);
  expect(scene.asked()).toEqual(sent ? ["POST /system/prune"] : []);
  expect(code).toBe(sent ? 0 : 1);
});

test("what could not be removed is an error, after what could", async () => {
  await using scene = await openScene(() => json({ ...REPORT, pending: 1, problems: ["sha256:ef: EPERM"] }));
  const { code, stdout, stderr } = await scene.run("prune");
  expect([code, stderr]).toEqual([1, "Error: sha256:ef: EPERM\n"]);
  expect(stdout).toContain("The files of 1 image are still being removed.");
});

test("as JSON it is what the gateway said", async () => {
  await using scene = await openScene(() => json(REPORT));
  expect(JSON.parse((await scene.run("prune --json")).stdout)).toEqual(REPORT);
});

test.each([
  [404, "404 page not found", "this gateway's provider keeps no images"],
  [405, "", "this gateway's provider keeps no images"],
  [501, "prune: this provider has no images of its own", "this provider has no images of its own"],
])("status %i is explained", async (status, body, said) => {
  await using scene = await openScene(() => ({ status, body }));
  const { code, stderr } = await scene.run("prune");
  expect([code, stderr]).toEqual([1, expect.stringContaining(said)]);
});

test("names of images cannot write to the terminal", async () => {
  const removed = [{ images: ["a\u001b[2J:1"], digest: "sha256:\u001b[2J", bytes: 1 }];
  await using scene = await openScene(() => json({ ...REPORT, removed }));
  const { stdout } = await scene.run("prune", { screen: true });
  expect(stdout).not.toContain("\u001b");
});

test("describe and list --verbose show the size where it is known", async () => {
  const fn = { name: "a", image: "a:1", namespace: "x", imageBytes: 1536 };
  await using scene = await openScene(({ path }) => json(path.startsWith("/system/functions") ? [fn] : fn));
  expect((await scene.run("describe a")).stdout).toMatch(/^Image Size: +1.5KiB$/m);
  const [head, row] = (await scene.run("list --verbose")).stdout.split("\n");
  expect([head, row]).toEqual([expect.stringMatching(/\tImageSize$/), expect.stringMatching(/\t1.5KiB$/)]);
  const bare = { ...fn, imageBytes: undefined };
  scene.gateway.respond = ({ path }) => json(path.startsWith("/system/functions") ? [bare] : bare);
  expect((await scene.run("describe a")).stdout).not.toContain("Image Size");
  expect((await scene.run("list --verbose")).stdout).not.toContain("ImageSize");
});

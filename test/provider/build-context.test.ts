import { chmod, lstat, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { create } from "tar";
import { temporaryFolder } from "../support/platform.ts";
import { type BuildFixture, digestOf, openBuildFixture } from "./build-fixture.ts";
import { descriptor, type TarEntry, tarOf } from "./tar-fixture.ts";

let fixture: BuildFixture;
beforeAll(async () => {
  fixture = await openBuildFixture({ maxContextBytes: 1024 ** 2, maxEntries: 100 });
});
afterAll(() => fixture.close());

const plain = descriptor({});
const file = (name: string, more: Partial<TarEntry> = {}): TarEntry => ({ name, content: "x", ...more });

test.each<[image: string]>([
  [""],
  ["a b"],
  ["x\r\nSet-Cookie: a=b"],
  ["../x"],
  ["/x"],
  ["x:"],
  ["x:a:b"],
  ["x@sha256:abc"],
  ["x".repeat(300)],
])("image name %j is refused", async (image) => {
  const building = fixture.build(tarOf(plain), { image });
  await expect(building).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringContaining("config: image: "),
  });
});

test.each<[args: Record<string, string>]>([[{ "A=B": "c" }], [{ "": "c" }], [{ A: "a\0b" }], [{ "A\nB": "c" }]])(
  "build arguments %j are refused",
  async (buildArgs) => {
    const building = fixture.build(tarOf(plain), { buildArgs });
    await expect(building).rejects.toMatchObject({ message: expect.stringContaining("config: buildArgs: ") });
  },
);

test("plain and packed archives of one context are the same artefact, whatever their order, owners and times", async () => {
  const a = file("a/one", { mode: 0o4777 });
  const b = file("b", { content: "two" });
  const first = digestOf(await fixture.build(tarOf(plain, a, b)));
  const second = digestOf(await fixture.build(gzipSync(tarOf(b, { name: "./", type: "5" }, a, plain))));
  expect(second).toBe(first);

  const { path } = fixture.images.resolve("test:1") ?? { path: "" };
  expect(await readFile(join(path, "a/one"), "utf8")).toBe("x");
  expect((await lstat(join(path, "a/one"))).mode & 0o7777).toBe(0o755);
  expect((await lstat(join(path, "b"))).mode & 0o7777).toBe(0o644);
});

test("content, paths, the right to execute and build arguments make another artefact", async () => {
  const variants: { entries: TarEntry[]; buildArgs?: Record<string, string> }[] = [
    { entries: [plain] },
    { entries: [plain, file("a")] },
    { entries: [plain, file("b")] },
    { entries: [plain, file("a", { content: "y" })] },
    { entries: [plain, file("a", { mode: 0o755 })] },
    { entries: [plain, { name: "a/", type: "5" }] },
    { entries: [plain], buildArgs: { A: "1" } },
    { entries: [plain], buildArgs: { A: "2" } },
  ];
  const digests = new Set<string>();
  for (const { entries, buildArgs } of variants) {
    digests.add(digestOf(await fixture.build(tarOf(...entries), buildArgs ? { buildArgs } : {})));
  }
  expect(digests.size).toBe(variants.length);
});

test("of two entries with one name the last counts, as for every tar", async () => {
  await fixture.build(tarOf(plain, file("a", { content: "long content" }), file("a", { content: "two" })));
  const { path } = fixture.images.resolve("test:1") ?? { path: "" };
  expect(await readFile(join(path, "a"), "utf8")).toBe("two");
});

test("archives as packers make them, with long names and many sizes", async () => {
  const folder = await temporaryFolder();
  const long = `${"deep/".repeat(30)}${"n".repeat(120)}`;
  const contents: Record<string, string> = { "faaslane.json": "{}", [long]: "long", "ünï cödé": "u" };
  for (const size of [0, 1, 511, 512, 513, 65_535, 65_536, 200_000]) contents[`size-${size}`] = "s".repeat(size);
  try {
    for (const [name, content] of Object.entries(contents)) {
      await mkdir(join(folder.path, name, ".."), { recursive: true });
      await writeFile(join(folder.path, name), content);
    }
    await chmod(join(folder.path, "size-1"), 0o700);
    const archive = (await create({ cwd: folder.path, gzip: true }, ["."]).concat()) as Buffer;
    await fixture.build(archive);
    const { path } = fixture.images.resolve("test:1") ?? { path: "" };
    for (const [name, content] of Object.entries(contents)) {
      expect(await readFile(join(path, name), "utf8")).toBe(content);
    }
    expect((await lstat(join(path, "size-1"))).mode & 0o777).toBe(0o755);
  } finally {
    await folder.remove();
  }
});

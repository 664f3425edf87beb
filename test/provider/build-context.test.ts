import { chmod, lstat, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
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

const HOSTILE: readonly (readonly [rule: string, archive: () => Buffer, kind: string, message: string])[] = [
  ["a path that climbs out", () => tarOf(file("../evil")), "invalid", '"../evil" leaves the context with ..'],
  ["a path that climbs out later", () => tarOf(file("a/b/../../../evil")), "invalid", "leaves the context with .."],
  ["a path that only looks like climbing", () => tarOf(file("a/..")), "invalid", "leaves the context with .."],
  ["an absolute path", () => tarOf(file("/etc/evil")), "invalid", '"/etc/evil" has an absolute path'],
  ["an absolute folder", () => tarOf({ name: "/tmp/evil/", type: "5" }), "invalid", "has an absolute path"],
  ["a backslash", () => tarOf(file("..\\evil")), "invalid", "has a backslash in its name"],
  ["CR and LF in a name", () => tarOf(file("a\r\nb")), "invalid", '"a\\r\\nb" has a control character in its name'],
  ["a symbolic link", () => tarOf({ name: "l", type: "2", linkName: "a" }), "invalid", '"l" is a symbolic link'],
  [
    "a symbolic link to the outside, and a file behind it",
    () => tarOf({ name: "l", type: "2", linkName: "/tmp" }, file("l/evil")),
    "invalid",
    '"l" is a symbolic link',
  ],
  [
    "a hard link",
    () => tarOf({ name: "l", type: "1", linkName: "/etc/passwd" }),
    "invalid",
    '"l" is a hard link; only files and folders are allowed',
  ],
  ["a character device", () => tarOf({ name: "d", type: "3" }), "invalid", '"d" is a device'],
  ["a block device", () => tarOf({ name: "d", type: "4" }), "invalid", '"d" is a device'],
  ["a named pipe", () => tarOf({ name: "p", type: "6" }), "invalid", '"p" is a named pipe'],
  ["an unknown kind", () => tarOf({ name: "u", type: "S", content: "x" }), "invalid", "of a"],
  ["a file where a folder is", () => tarOf(file("a/b"), file("a")), "invalid", "is both a file and a folder"],
  ["a folder where a file is", () => tarOf(file("a"), file("a/b")), "invalid", "is both a file and a folder"],
  ["a name that is too long", () => tarOf(file("n".repeat(256))), "invalid", "has a name of over 255 bytes"],
  ["a path that is too long", () => tarOf(file("p/".repeat(600))), "invalid", "has a path of over 1024 bytes"],
  ["a path that is too deep", () => tarOf(file(`${"p/".repeat(70)}f`)), "invalid", "is nested deeper than 64 folders"],
  [
    "one file that is too large",
    () => tarOf(file("big", { content: Buffer.alloc(1024 ** 2 + 1) })),
    "tooLarge",
    "unpacks to more than 1048576 bytes",
  ],
  [
    "a size that only the header claims",
    () => tarOf(file("big", { size: 8 * 1024 ** 3 - 1 })),
    "tooLarge",
    "unpacks to more than 1048576 bytes",
  ],
  [
    "many files that are too large together",
    () => tarOf(...Array.from({ length: 20 }, (_, i) => file(`f${i}`, { content: Buffer.alloc(60_000) }))),
    "tooLarge",
    "unpacks to more than 1048576 bytes",
  ],
  [
    "too many files",
    () => tarOf(...Array.from({ length: 101 }, (_, i) => file(`f${i}`))),
    "tooLarge",
    "has more than 100 files and folders",
  ],
  [
    "too many folders",
    () => tarOf(...Array.from({ length: 101 }, (_, i) => ({ name: `d${i}/`, type: "5" }))),
    "tooLarge",
    "has more than 100 files and folders",
  ],
  [
    "a bomb behind the end of the archive",
    () => gzipSync(Buffer.concat([tarOf(plain), Buffer.alloc(64 * 1024 ** 2)])),
    "tooLarge",
    "unpacks to more than is allowed",
  ],
  ["gzip in gzip", () => gzipSync(gzipSync(tarOf(plain))), "invalid", "is packed twice"],
  ["gzip that is cut short", () => gzipSync(tarOf(plain)).subarray(0, -20), "invalid", "damaged or cut short"],
  [
    "gzip with a wrong checksum",
    () => {
      const packed = gzipSync(tarOf(plain));
      packed.writeUInt32LE(1, packed.length - 8);
      return packed;
    },
    "invalid",
    "damaged or cut short",
  ],
  [
    "a tar that is cut short",
    () => tarOf(plain, file("f", { content: "x".repeat(5000) })).subarray(0, 3000),
    "invalid",
    "cut short",
  ],
  ["no archive", () => Buffer.from("hello".repeat(1000)), "invalid", "is no tar archive"],
  ["nothing", () => Buffer.alloc(0), "invalid", "is no tar archive"],
  ["an archive without entries", () => tarOf(), "invalid", "is no tar archive"],
  ["a Dockerfile alone", () => tarOf(file("Dockerfile")), "invalid", "a Dockerfile alone cannot be built here"],
  ["a descriptor that is not JSON", () => tarOf(file("faaslane.json")), "invalid", "faaslane.json: "],
  ["a descriptor with a misspelt field", () => tarOf(descriptor({ instal: ["true"] })), "invalid", "instal"],
  ["a folder as descriptor", () => tarOf({ name: "faaslane.json/", type: "5" }), "invalid", "faaslane.json"],
];

test.each(HOSTILE)("%s is refused before the first event", async (_rule, archive, kind, message) => {
  await expect(fixture.build(archive())).rejects.toMatchObject({
    name: "FaasError",
    kind,
    message: expect.stringContaining(message),
  });
  expect(await fixture.leftovers()).toEqual([]);
  expect(await readdir(fixture.images.artefactsDir)).toEqual([]);
});

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

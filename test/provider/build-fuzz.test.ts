import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FaasError } from "../../contract/errors.ts";
import { parseEntryPath } from "../../provider/backends/build/entry-path.ts";
import { unpackContext } from "../../provider/backends/build/unpack.ts";
import { descriptorsOf } from "../support/descriptors.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { tarOf } from "./tar-fixture.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const piece = fc.oneof(
  fc.constantFrom("/", "..", ".", "//", "\\", "\0", "\n", "a", "~", " "),
  fc.string({ unit: "binary", maxLength: 4 }),
);

test("whatever a path is, it is refused or stays below its root", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      let segments: string[];
      try {
        segments = parseEntryPath(pieces.join(""));
      } catch (error) {
        expect(error).toBeInstanceOf(FaasError);
        return;
      }
      const path = resolve("/root/context", ...segments);
      expect(path === "/root/context" || path.startsWith(`/root/context${sep}`)).toBe(true);
      // As the file system takes it: no segment may mean anything but itself.
      expect(segments.every((name) => name !== "" && name !== "." && name !== ".." && !name.includes("/"))).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

const valid = tarOf(
  { name: "faaslane.json", content: "{}" },
  { name: "a/", type: "5" },
  { name: `${"long/".repeat(30)}file`, content: "x".repeat(700) },
  { name: "big", content: "y".repeat(100_000), mode: 0o755 },
  { name: "empty" },
);

const damage = fc.record({
  packed: fc.boolean(),
  flips: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
  length: fc.option(fc.nat()),
  twice: fc.boolean(),
});

test("whatever is wrong with an archive, unpacking ends, inside its folder, well or with a clear refusal", async () => {
  const archive = join(folder.path, "archive");
  await fc.assert(
    fc.asyncProperty(damage, async ({ packed, flips, length, twice }) => {
      const plain = twice ? Buffer.concat([valid, valid]) : Buffer.from(valid);
      const bytes = packed ? gzipSync(plain) : plain;
      for (const [at, value] of flips) bytes[at % bytes.length] = value;
      await writeFile(archive, bytes.subarray(0, length === null ? undefined : length % (bytes.length + 1)));
      const root = await mkdtemp(join(folder.path, "root-"));
      try {
        const limits = { maxContextBytes: 1024 ** 2, maxEntries: 20 };
        await unpackContext(archive, root, limits, AbortSignal.timeout(5_000));
      } catch (error) {
        expect(error).toBeInstanceOf(FaasError);
      } finally {
        await rm(root, { recursive: true });
      }
      expect(await readdir(folder.path)).toEqual(["archive"]);
    }),
    { numRuns: 60 },
  );
});

test("unpacking stops when nobody wants it any more", async () => {
  const archive = join(folder.path, "archive");
  await writeFile(archive, valid);
  const root = await mkdtemp(join(folder.path, "root-"));
  const left = new AbortController();
  const unpacking = unpackContext(archive, root, { maxContextBytes: 1024 ** 2, maxEntries: 20 }, left.signal);
  left.abort();
  await expect(unpacking).rejects.toMatchObject({ name: "AbortError" });
  await rm(root, { recursive: true });
});

test("an archive that nobody wants any more is not kept open", async () => {
  const archive = join(folder.path, "archive");
  await writeFile(archive, valid);
  const root = await mkdtemp(join(folder.path, "root-"));
  const limits = { maxContextBytes: 1024 ** 2, maxEntries: 20 };
  await expect(unpackContext(archive, root, limits, AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
  await eventually("it is closed", async () => !(await descriptorsOf(process.pid)).includes(archive));
  await rm(root, { recursive: true });
});

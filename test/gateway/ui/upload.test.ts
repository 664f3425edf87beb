import { expect, test } from "@jest/globals";
import { Parser, type ReadEntry } from "tar";
import type { UiTemplate } from "../../../contract/ui/deploy.ts";
import { handlerOf, layOut } from "../../../gateway/ui/browser/upload/context.ts";
import { gzip, type PackedFile, packTar } from "../../../gateway/ui/browser/upload/tar.ts";
import { readZip } from "../../../gateway/ui/browser/upload/zip.ts";
import { zipOf } from "../../support/zip.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const LIMITS = { maxFiles: 100, maxBytes: 1024 ** 2 };

async function unpack(archive: Blob): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const parser = new Parser({ strict: true });
  parser.on("entry", (entry: ReadEntry) => {
    const pieces: Buffer[] = [];
    entry.on("data", (piece) => pieces.push(piece as Buffer));
    entry.on("end", () => {
      found[entry.path] = `${entry.type} ${((entry.mode ?? 0) & 0o777).toString(8)} ${Buffer.concat(pieces)}`;
    });
  });
  parser.end(Buffer.from(await archive.arrayBuffer()));
  return found;
}

test("tar reads what the page packs: long names, other alphabets, empty files, whole blocks", async () => {
  const long = `${"folder-of-a-long-name/".repeat(12)}file.txt`;
  const files: PackedFile[] = [
    { path: "a.txt", content: bytes("hello") },
    { path: "run.sh", content: bytes("#!"), executable: true },
    { path: "empty", content: new Uint8Array() },
    { path: "block", content: bytes("x".repeat(512)) },
    { path: "grün/日本.txt", content: bytes("ü") },
    { path: long, content: new Blob(["of a folder"]) },
    { path: `${"n".repeat(100)}`, content: bytes("fits") },
    { path: `${"m".repeat(101)}`, content: bytes("does not") },
  ];
  const expected = {
    "a.txt": "File 644 hello",
    "run.sh": "File 755 #!",
    empty: "File 644 ",
    block: `File 644 ${"x".repeat(512)}`,
    "grün/日本.txt": "File 644 ü",
    [long]: "File 644 of a folder",
    ["n".repeat(100)]: "File 644 fits",
    ["m".repeat(101)]: "File 644 does not",
  };
  expect(await unpack(packTar(files))).toEqual(expected);
  expect(await unpack(await gzip(packTar(files)))).toEqual(expected);
});

const textOf = async ({ content }: PackedFile) => await new Blob([content]).text();

test("a zip is read: packed and stored, with data descriptors, folders, a comment, and modes", async () => {
  const zip = zipOf(
    [
      { name: "src/" },
      { name: "src/a.js", content: "a".repeat(5_000) },
      { name: "./src//b.txt", content: "stored", stored: true },
      { name: "src/late.txt", content: "told afterwards", descriptor: true },
      { name: "run.sh", content: "#!", mode: 0o100755 },
      { name: "grün.txt", content: "ü", flags: 1 << 11 },
      { name: Buffer.from("gr\xfcn.old", "latin1"), content: "x" },
    ],
    "made by hand",
  );
  const files = await readZip(zip, LIMITS);
  expect(files.map(({ path, executable }) => [path, executable ?? false])).toEqual([
    ["src/a.js", false],
    ["src/b.txt", false],
    ["src/late.txt", false],
    ["run.sh", true],
    ["grün.txt", false],
    ["grün.old", false],
  ]);
  expect(await Promise.all(files.slice(1, 4).map(textOf))).toEqual(["stored", "told afterwards", "#!"]);
  expect((await textOf(files[0] as PackedFile)).length).toBe(5_000);
});

/** A zip that lists so many files, `000000` and so on; of none of them is anything there. */
function zipOfMany(count: number, says = count): Blob {
  const list = Buffer.alloc(count * 52 + 22);
  for (let n = 0; n < count; n++) {
    list.writeUInt32LE(0x02014b50, n * 52);
    list.writeUInt16LE(6, n * 52 + 28);
    list.write(String(n).padStart(6, "0"), n * 52 + 46);
  }
  list.writeUInt32LE(0x06054b50, count * 52);
  list.writeUInt16LE(says % 0x10000, count * 52 + 10);
  list.writeUInt32LE(count * 52, count * 52 + 12);
  return new Blob([list]);
}

const bomb = Buffer.alloc(1024 ** 2 + 1);

test.each<[what: string, zip: () => Blob, problem: string]>([
  ["is none", () => new Blob(["hello"]), "it is no zip"],
  ["is empty", () => new Blob([]), "it is no zip"],
  ["is cut short", () => zipOf([{ name: "a", content: "x".repeat(100) }]).slice(0, 60), "it is no zip"],
  ["climbs out", () => zipOf([{ name: "a/../../evil" }]), '"a/../../evil" leads out of the folder with ..'],
  ["climbs out by a folder", () => zipOf([{ name: "../evil/" }]), "leads out of the folder"],
  ["has an absolute path", () => zipOf([{ name: "/etc/passwd" }]), "has an absolute path"],
  ["has a drive", () => zipOf([{ name: "C:evil" }]), "has an absolute path"],
  ["has backslashes", () => zipOf([{ name: "..\\evil" }]), "has a backslash"],
  ["has control characters", () => zipOf([{ name: "a\u001b[2J" }]), "has a control character"],
  ["has a link", () => zipOf([{ name: "l", content: "/etc", mode: 0o120777 }]), "is a symbolic link"],
  ["is encrypted", () => zipOf([{ name: "a", flags: 1 }]), "is encrypted"],
  ["is packed in another way", () => zipOf([{ name: "a", method: 14 }]), "is packed by method 14"],
  ["has a name twice", () => zipOf([{ name: "a" }, { name: "./a" }]), '"a" is in it twice'],
  ["has more files than may be", () => zipOfMany(101), "it has more than 100 files"],
  ["has 100,000 files, and says so elsewhere", () => zipOfMany(200, 0xffff), "it has more than 100 files"],
  ["has 65,536 files more than it says", () => zipOfMany(65_546), "it has more files than it says"],
  ["has 100,000 files", () => zipOfMany(100_000), "it has more than 100 files"],
  ["says that it has more than it lists", () => zipOfMany(3, 50), "is not whole"],
  ["is a bomb that says so", () => zipOf([{ name: "a", content: bomb }]), "it unpacks to more than 1048576 bytes"],
  [
    "is a bomb that lies",
    () => zipOf([{ name: "a", content: bomb, says: { bytes: 10 } }]),
    "is larger than the zip says",
  ],
  [
    "is a bomb of one file that is listed often",
    () =>
      zipOf(
        Array.from({ length: 50 }, (_, n) => ({ name: `${n}`, content: Buffer.alloc(100_000), says: { offset: 0 } })),
      ),
    "it unpacks to more than",
  ],
  ["says that a file is longer", () => zipOf([{ name: "a", content: "x", says: { bytes: 9 } }]), '"a" is damaged'],
  ["has another checksum", () => zipOf([{ name: "a", content: "x", says: { crc: 1 } }]), '"a" is damaged'],
  ["points elsewhere", () => zipOf([{ name: "a", says: { offset: 2 } }]), "is not where the zip says"],
])("a zip that %s is refused", async (_what, zip, problem) => {
  await expect(readZip(zip(), LIMITS)).rejects.toThrow(problem);
});

const TEMPLATE: UiTemplate = {
  name: "node",
  handlerFolder: "function",
  files: [
    { path: "faaslane.json", text: "{}" },
    { path: "logo.bin", text: "/wA=", encoding: "base64" },
  ],
  sample: [],
  ignore: ["**/node_modules\nREADME.md"],
};

const file = (path: string, text = path): PackedFile => ({ path, content: bytes(text) });

test("a folder is laid into its template, without what is to be ignored", async () => {
  const handler = handlerOf([
    file("mine/handler.js"),
    file("mine/.dockerignore", "*.log\nkept\n!kept/this\n"),
    file("mine/a.log"),
    file("mine/kept/this"),
    file("mine/kept/that"),
    file("mine/node_modules/x/index.js"),
    file("mine/.git/config"),
    file("mine/README.md"),
  ]);
  const { files, leftOut } = await layOut(TEMPLATE, handler);
  expect(files.map(({ path }) => path)).toEqual([
    "faaslane.json",
    "function/.dockerignore",
    "function/README.md",
    "function/handler.js",
    "function/kept/this",
    "logo.bin",
  ]);
  expect(leftOut).toBe(4);
  expect(files.at(-1)?.content).toEqual(Uint8Array.of(0xff, 0));
});

test("files of no common folder are taken as they are, and a Dockerfile's folder is the whole context", async () => {
  const handler = handlerOf([file("Dockerfile"), file("src/a.js")]);
  const whole = { ...TEMPLATE, name: "dockerfile", handlerFolder: "", files: [], ignore: [] };
  expect((await layOut(whole, handler)).files.map(({ path }) => path)).toEqual(["Dockerfile", "src/a.js"]);
});

test.each<[what: string, files: PackedFile[], problem: string]>([
  ["nothing", [], "there are no files in it"],
  ["too many files", Array.from({ length: 50_001 }, (_, n) => file(`a/${n}`, "")), "it has more than 50000 files"],
  ["a path that climbs", [file("a/../../b")], "leads out of the folder"],
])("what was chosen is refused: %s", (_what, files, problem) => {
  expect(() => handlerOf(files)).toThrow(problem);
});

test("what is both a file and a folder is refused", async () => {
  const handler = handlerOf([file("x/a"), file("x/a/b")]);
  await expect(layOut(TEMPLATE, handler)).rejects.toThrow('"function/a" is both a file and a folder');
});

import { gzipSync } from "node:zlib";
import { descriptor, paxRecord, type TarEntry, tarOf, withHeader } from "../provider/tar-fixture.ts";

/** What becomes of an archive: words of the refusal, or the files that the image has, with their modes. */
export type Expected = string | Readonly<Record<string, string>>;

/** @param outside a folder that no archive may reach, absolute */
export type ArchiveForm = readonly [name: string, archive: (outside: string) => Buffer, expected: Expected];

/** The limits that the forms are made for. */
export const LIMITS = { maxBytes: 1024 ** 2, maxEntries: 100 };

const plain = descriptor({});
const file = (name: string, more: Partial<TarEntry> = {}): TarEntry => ({ name, content: "x", ...more });
const pax = (...records: readonly (readonly [key: string, value: string])[]): TarEntry => ({
  name: "PaxHeader/x",
  type: "x",
  content: Buffer.concat(records.map(([key, value]) => paxRecord(key, value))),
});
const link = (name: string, linkName: string): TarEntry => ({ name, type: "2", linkName });

const CLIMBS = "leaves the context with ..";
const ABSOLUTE = "has an absolute path";
const TOO_LARGE = `unpacks to more than ${LIMITS.maxBytes} bytes`;
const TOO_MANY = `has more than ${LIMITS.maxEntries} files and folders`;
const DAMAGED = "it is damaged";
const CUT = "cut short";
const FILES_ONLY = "only files and folders are allowed";
/** What an image of `plain` alone has. */
const ALONE = { "faaslane.json": "644 {}" };

const PATHS: readonly ArchiveForm[] = [
  ["a path that climbs out", () => tarOf(file("../evil")), `"../evil" ${CLIMBS}`],
  ["a path that climbs out later", () => tarOf(file("a/b/../../../evil")), CLIMBS],
  ["a path that only looks like climbing", () => tarOf(file("a/..")), CLIMBS],
  ["a path that is nothing but ..", () => tarOf({ name: "..", type: "5" }), CLIMBS],
  ["an absolute path", (outside) => tarOf(file(`${outside}/evil`)), ABSOLUTE],
  ["an absolute folder", (outside) => tarOf({ name: `${outside}/evil/`, type: "5" }), ABSOLUTE],
  ["an absolute path with two slashes", () => tarOf(file("//etc/evil")), ABSOLUTE],
  ["a file without a name", () => tarOf(file(".")), "is a file without a name"],
  ["a backslash", () => tarOf(file("..\\evil")), "has a backslash in its name"],
  ["a drive letter with a backslash", () => tarOf(file("C:\\evil")), "has a backslash in its name"],
  ["CR and LF in a name", () => tarOf(file("a\r\nb")), '"a\\r\\nb" has a control character in its name'],
  ["an escape sequence in a name", () => tarOf(file("a\u001b[2Jb")), "has a control character in its name"],
  ["a name that is too long", () => tarOf(file("n".repeat(256))), "has a name of over 255 bytes"],
  ["a path that is too long", () => tarOf(file("p/".repeat(600))), "has a path of over 1024 bytes"],
  ["a path that is too deep", () => tarOf(file(`${"p/".repeat(70)}f`)), "is nested deeper than 64 folders"],
  ["a file where a folder is", () => tarOf(file("a/b"), file("a")), "is both a file and a folder"],
  ["a folder where a file is", () => tarOf(file("a"), file("a/b")), "is both a file and a folder"],
  ["a path with needless parts", () => tarOf(plain, file("./a//./b")), { ...ALONE, "a/b": "644 x" }],
  [
    "names that a shell would act on",
    () => tarOf(plain, file("-rf"), file("$(touch evil)"), file("~"), file("*")),
    { ...ALONE, "-rf": "644 x", "$(touch evil)": "644 x", "~": "644 x", "*": "644 x" },
  ],
  [
    "names that differ in case only",
    () => tarOf(plain, file("A"), file("a", { content: "y" })),
    { ...ALONE, A: "644 x", a: "644 y" },
  ],
  [
    "names that differ in their normal form only",
    () => tarOf(plain, file("\u00e9"), file("e\u0301", { content: "y" })),
    { ...ALONE, "\u00e9": "644 x", "e\u0301": "644 y" },
  ],
  ["one name twice", () => tarOf(plain, file("a"), file("a", { content: "y" })), { ...ALONE, a: "644 y" }],
];

const KINDS: readonly ArchiveForm[] = [
  ["a symbolic link", () => tarOf(link("l", "a")), '"l" is a symbolic link'],
  ["a symbolic link to itself", () => tarOf(link("l", "l")), "is a symbolic link"],
  ["a file behind a link to the outside", (outside) => tarOf(link("l", outside), file("l/evil")), "is a symbolic link"],
  ["a descriptor that is a link", () => tarOf(link("faaslane.json", "/etc/passwd")), "is a symbolic link"],
  ["a link that looks like a folder", (outside) => tarOf(link("l/", outside), file("l/evil")), "is a symbolic link"],
  ["a hard link", () => tarOf({ name: "l", type: "1", linkName: "/etc/passwd" }), "is a hard link"],
  ["a hard link inside", () => tarOf(plain, { name: "l", type: "1", linkName: "faaslane.json" }), "is a hard link"],
  ["a character device", () => tarOf({ name: "d", type: "3" }), '"d" is a device'],
  ["a block device", () => tarOf({ name: "d", type: "4" }), '"d" is a device'],
  ["a named pipe", () => tarOf({ name: "p", type: "6" }), '"p" is a named pipe'],
  ["a sparse file of old GNU", () => tarOf({ name: "u", type: "S", content: "x" }), "of a"],
  ["a part of another volume", () => tarOf({ name: "u", type: "M", content: "x" }), "of a kind that is not allowed"],
  ["a dump of a folder", () => tarOf({ name: "u", type: "D", content: "Yevil\0\0" }), FILES_ONLY],
  ["a kind that nobody knows", () => tarOf({ name: "u", type: "q", content: "x" }), "of a"],
  ["a file with every mode bit", () => tarOf(plain, file("a", { mode: 0o7777 })), { ...ALONE, a: "755 x" }],
  ["a file without a mode bit", () => tarOf(plain, file("a", { mode: 0 })), { ...ALONE, a: "644 x" }],
  [
    "a folder that nobody may enter",
    () => tarOf(plain, { name: "d/", type: "5", mode: 0 }, file("d/a")),
    { ...ALONE, "d/a": "644 x" },
  ],
  [
    "a file of another owner and time",
    () => withHeader(tarOf(plain, file("a")), 1, { uid: "7777777", gid: "7777777", mtime: "-0000000001" }),
    { ...ALONE, a: "644 x" },
  ],
];

const EXTENSIONS: readonly ArchiveForm[] = [
  [
    "an extended path that is absolute",
    (outside) => tarOf(plain, pax(["path", `${outside}/evil`]), file("a")),
    ABSOLUTE,
  ],
  ["an extended path that climbs out", () => tarOf(plain, pax(["path", "a/../../evil"]), file("a")), CLIMBS],
  ["an extended path with NUL", () => tarOf(plain, pax(["path", "a\0b"]), file("a")), { ...ALONE, a: "644 x" }],
  ["an extended path, twice", () => tarOf(plain, pax(["path", "b"], ["path", "../evil"]), file("a")), CLIMBS],
  [
    "an extended link path",
    (outside) => tarOf(plain, pax(["linkpath", outside]), link("l", "a")),
    "is a symbolic link",
  ],
  ["an extended size that is huge", () => tarOf(plain, pax(["size", "8589934591"]), file("a")), TOO_LARGE],
  ["an extended size below nothing", () => tarOf(plain, pax(["size", "-1"]), file("a")), { ...ALONE, a: "644 x" }],
  ["an extended size that is no number", () => tarOf(plain, pax(["size", "1e999"]), file("a")), "build context"],
  [
    "extended headers of every file",
    () => tarOf(plain, { ...pax(["path", "../evil"]), type: "g" }, file("a")),
    { ...ALONE, a: "644 x" },
  ],
  [
    "an extended record of a wrong length",
    () => tarOf(plain, { ...pax(), content: "999 path=../evil\n" }, file("a")),
    { ...ALONE, a: "644 x" },
  ],
  [
    "extended headers that are huge",
    () => tarOf(plain, { ...pax(), content: Buffer.alloc(1024 ** 2 + 1, "a") }, file("a")),
    "build context",
  ],
  [
    "a sparse file of extended headers",
    () =>
      tarOf(
        plain,
        pax(["GNU.sparse.major", "1"], ["GNU.sparse.name", "../evil"], ["GNU.sparse.realsize", "99999999999"]),
        file("a"),
      ),
    { ...ALONE, a: "644 x" },
  ],
  [
    "attributes that give rights",
    () => tarOf(plain, pax(["SCHILY.xattr.security.capability", "all"]), file("a")),
    { ...ALONE, a: "644 x" },
  ],
  [
    "a long name that is absolute",
    (outside) => tarOf(plain, { name: "././@LongLink", type: "L", content: `${outside}/evil\0` }, file("a")),
    ABSOLUTE,
  ],
  [
    "a long name that climbs out",
    () => tarOf(plain, { name: "././@LongLink", type: "L", content: "../evil\0" }, file("a")),
    CLIMBS,
  ],
  [
    "a long link name",
    (outside) => tarOf(plain, { name: "././@LongLink", type: "K", content: `${outside}\0` }, link("l", "a")),
    "is a symbolic link",
  ],
  [
    "a long name of older GNU that climbs out",
    () => tarOf(plain, { name: "././@LongName", type: "N", content: "../evil\0" }, file("a")),
    CLIMBS,
  ],
  ["a prefix that is absolute", () => withHeader(tarOf(plain, file("evil")), 1, { prefix: "/etc" }), ABSOLUTE],
  ["a prefix that climbs out", () => withHeader(tarOf(plain, file("evil")), 1, { prefix: ".." }), CLIMBS],
];

const SIZES: readonly ArchiveForm[] = [
  ["one file that is too large", () => tarOf(file("big", { content: Buffer.alloc(LIMITS.maxBytes + 1) })), TOO_LARGE],
  ["a size that only the header claims", () => tarOf(file("big", { size: 8 * 1024 ** 3 - 1 })), TOO_LARGE],
  [
    "a size in base 256",
    () => withHeader(tarOf(plain, file("a")), 1, { size: "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff" }),
    "build context",
  ],
  [
    "a size below nothing in base 256",
    () => withHeader(tarOf(plain, file("a")), 1, { size: "\xff".repeat(12) }),
    "build context",
  ],
  [
    "many files that are too large together",
    () => tarOf(...Array.from({ length: 20 }, (_, i) => file(`f${i}`, { content: Buffer.alloc(60_000) }))),
    TOO_LARGE,
  ],
  ["too many files", () => tarOf(...Array.from({ length: 101 }, (_, i) => file(`f${i}`))), TOO_MANY],
  [
    "too many folders",
    () => tarOf(...Array.from({ length: 101 }, (_, i) => ({ name: `d${i}/`, type: "5" }))),
    TOO_MANY,
  ],
  ["one file too many times", () => tarOf(...Array.from({ length: 101 }, () => file("a"))), TOO_MANY],
  [
    "a bomb behind the end of the archive",
    () => gzipSync(Buffer.concat([tarOf(plain), Buffer.alloc(64 * 1024 ** 2)])),
    "unpacks to more than is allowed",
  ],
  [
    "a bomb of many members",
    () => Buffer.concat(Array.from({ length: 64 }, () => gzipSync(Buffer.alloc(1024 ** 2)))),
    "build context",
  ],
];

const DAMAGES: readonly ArchiveForm[] = [
  ["gzip in gzip", () => gzipSync(gzipSync(tarOf(plain))), "is packed twice"],
  ["gzip that is cut short", () => gzipSync(tarOf(plain)).subarray(0, -20), `damaged or ${CUT}`],
  [
    "gzip with a wrong checksum",
    () => {
      const packed = gzipSync(tarOf(plain));
      packed.writeUInt32LE(1, packed.length - 8);
      return packed;
    },
    `damaged or ${CUT}`,
  ],
  ["a tar that is cut short", () => tarOf(plain, file("f", { content: "x".repeat(5000) })).subarray(0, 3000), CUT],
  ["a tar that is cut short in a header", () => tarOf(plain, file("f")).subarray(0, 1200), CUT],
  [
    "a header with a wrong checksum",
    () => {
      const archive = tarOf(plain, file("f"));
      archive[1024] = 0x21;
      return archive;
    },
    DAMAGED,
  ],
  ["no archive", () => Buffer.from("hello".repeat(1000)), "is no tar archive"],
  ["a zip file", () => Buffer.concat([Buffer.from("PK\x03\x04"), Buffer.alloc(1020)]), "is no tar archive"],
  [
    "a file packed with xz",
    () => Buffer.concat([Buffer.from("\xfd7zXZ\0", "latin1"), Buffer.alloc(1018, 1)]),
    "is no tar archive",
  ],
  [
    "a file packed with zstd",
    () => Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), Buffer.alloc(1020, 1)]),
    "is no tar archive",
  ],
  ["nothing", () => Buffer.alloc(0), "is no tar archive"],
  ["an archive without entries", () => tarOf(), "is no tar archive"],
  ["an archive behind the end of another", () => Buffer.concat([tarOf(plain), tarOf(file("../evil"))]), ALONE],
];

const CONTENTS: readonly ArchiveForm[] = [
  ["a Dockerfile alone", () => tarOf(file("Dockerfile")), "a Dockerfile alone cannot be built here"],
  ["a descriptor that is not JSON", () => tarOf(file("faaslane.json")), "faaslane.json: "],
  ["a descriptor with a misspelt field", () => tarOf(descriptor({ instal: ["true"] })), "instal"],
  ["a folder as descriptor", () => tarOf({ name: "faaslane.json/", type: "5" }), "faaslane.json"],
];

export const ARCHIVE_FORMS: readonly ArchiveForm[] = [
  ...PATHS,
  ...KINDS,
  ...EXTENSIONS,
  ...SIZES,
  ...DAMAGES,
  ...CONTENTS,
];

import { gzipSync } from "node:zlib";
import { descriptor, tarOf } from "../provider/tar-fixture.ts";

/** Largest upload that the forms are made for. */
export const MAX_UPLOAD_BYTES = 2_000;

/** A part as it is written: its head lines, and its content. */
interface Part {
  readonly head: readonly string[];
  readonly content: string;
}

interface Multipart {
  /** The value of `Content-Type`. */
  readonly type: string;
  readonly body: string;
  readonly headers?: readonly string[];
}

/** @see {@link MULTIPART_FORMS} */
export type MultipartForm = readonly [name: string, given: () => Multipart, expected: string];

const ARCHIVE = gzipSync(tarOf(descriptor({}))).toString("latin1");
const TYPE = "multipart/form-data; boundary=b";
const BUILT = '200 "status":"success"';
const TWO_PARTS = "400 build: there must be one part context and one part config, and no other";
const MALFORMED = "400 build: the multipart body is malformed";

const disposition = (name: string, filename?: string) =>
  `Content-Disposition: form-data; name="${name}"${filename === undefined ? "" : `; filename="${filename}"`}`;
const field = (name: string, content: string, ...head: string[]): Part => ({
  head: [disposition(name), ...head],
  content,
});
const file = (name: string, content = ARCHIVE, filename = "x.tar", ...head: string[]): Part => ({
  head: [disposition(name, filename), ...head],
  content,
});
const context = file("context");
const config = field("config", '{"image":"test:1"}');

function bodyOf(parts: readonly Part[], boundary = "b"): string {
  const written = parts.map(({ head, content }) => `--${boundary}\r\n${head.join("\r\n")}\r\n\r\n${content}\r\n`);
  return `${written.join("")}--${boundary}--\r\n`;
}

const of =
  (...parts: readonly Part[]) =>
  (): Multipart => ({ type: TYPE, body: bodyOf(parts) });
const as = (type: string, body: string) => (): Multipart => ({ type, body });
const withConfig = (content: string) => of(context, field("config", content));

const PARTS: readonly MultipartForm[] = [
  ["no context", of(config), '400 build: part "context": is missing'],
  ["no config", of(context), '400 build: part "config": is missing'],
  [
    "context as a field",
    of(field("context", "text"), config),
    '400 build: part "context": must be a file, not a field',
  ],
  [
    "config as a file",
    of(context, file("config", "{}")),
    '400 build: part "config": must be a field with JSON, not a file',
  ],
  ["two contexts", of(context, context, config), TWO_PARTS],
  ["two configs", of(context, config, config), TWO_PARTS],
  ["another file", of(context, config, file("more")), '400 build: part "more": is not known'],
  ["another file with a line end in its name", of(context, config, file("more%0D%0AX: y")), '400 build: part "more'],
  ["another field", of(context, config, field("more", "x")), '400 build: part "more": is not known'],
  [
    "a thousand fields",
    of(context, config, ...Array.from({ length: 1000 }, (_, i) => field(`f${i}`, "x"))),
    "400 build: ",
  ],
  [
    "a thousand files",
    of(context, config, ...Array.from({ length: 1000 }, (_, i) => file(`f${i}`, ""))),
    "400 build: ",
  ],
  ["a config of many pieces", of(context, field("config[image]", "test:1")), TWO_PARTS],
  ["a context of many pieces", of(file("context[]"), config), '400 build: part "context[]": is not known'],
  ["a field named __proto__", of(context, config, field("__proto__", "x")), "400 build: "],
  ["a field named constructor", of(context, config, field("constructor[prototype][x]", "x")), "400 build: "],
  ["a field with a name that is too long", of(context, config, field("n".repeat(1000), "x")), "400 build: "],
  [
    "a part without a name",
    of({ head: ["Content-Disposition: form-data"], content: "x" }, context, config),
    "400 build: ",
  ],
  ["a part without a disposition", of({ head: ["Content-Type: text/plain"], content: "x" }, context, config), BUILT],
  [
    "a part of another disposition",
    of({ head: ['Content-Disposition: attachment; name="context"'], content: "x" }, config),
    "400 build: ",
  ],
  [
    "a part inside a part",
    of(
      {
        head: ['Content-Disposition: form-data; name="context"', "Content-Type: multipart/mixed; boundary=c"],
        content: bodyOf([file("context")], "c"),
      },
      config,
    ),
    "400 build: ",
  ],
  [
    "a part with many heads",
    of(file("context", ARCHIVE, "x", ...Array.from({ length: 2000 }, (_, i) => `X-${i}: y`)), config),
    "400 build: ",
  ],
  ["a part with a huge head", of(file("context", ARCHIVE, "x", `X: ${"y".repeat(100_000)}`), config), "400 build: "],
];

const NAMES: readonly MultipartForm[] = [
  ["a file name that climbs out", of(file("context", ARCHIVE, "../../../../evil"), config), BUILT],
  ["a file name that is absolute", of(file("context", ARCHIVE, "/tmp/evil"), config), BUILT],
  ["a file name with NUL", of(file("context", ARCHIVE, "a\0b"), config), MALFORMED],
  [
    "an encoded file name",
    of({ head: [`${disposition("context")}; filename*=UTF-8''..%2F..%2Fevil`], content: ARCHIVE }, config),
    BUILT,
  ],
  ["a file name that is endless", of(file("context", ARCHIVE, "n".repeat(10_000)), config), BUILT],
];

const CONFIGS: readonly MultipartForm[] = [
  ["a config that is not JSON", withConfig("hunter2"), '400 build: part "config": must be JSON'],
  ["a config without an image", withConfig("{}"), "400 config: image: "],
  ["a config with an empty image", withConfig('{"image":""}'), "400 config: image: "],
  ["a config with a list for an image", withConfig('{"image":["test:1"]}'), "400 config: image: "],
  ["a config of a wrong type", withConfig('{"image":"x","buildArgs":{"a":1}}'), "400 config: buildArgs.a: "],
  ["a config with a prototype", withConfig('{"__proto__":{"image":"test:1"}}'), "400 config: image: "],
  ["a config of many brackets", withConfig("[".repeat(60_000)), "400 build: "],
  ["a config that is huge", withConfig("x".repeat(70_000)), '413 build: part "config": is over 65536 bytes'],
  [
    "a config in UTF-16",
    of(context, {
      head: [disposition("config"), "Content-Type: text/plain; charset=utf-16le"],
      content: Buffer.from('{"image":"test:1"}', "utf16le").toString("latin1"),
    }),
    BUILT,
  ],
  [
    "a config in base64",
    of(context, field("config", "eyJpbWFnZSI6InRlc3Q6MSJ9", "Content-Transfer-Encoding: base64")),
    '400 build: part "config": must be JSON',
  ],
];

const ENVELOPES: readonly MultipartForm[] = [
  ["another content type", as("application/json", "{}"), "400 build: "],
  ["no content type", as("", ""), "400 build: "],
  [
    "a kind of multipart that is none of forms",
    as("multipart/mixed; boundary=b", bodyOf([context, config])),
    "400 build: ",
  ],
  ["no boundary", as("multipart/form-data", "x"), MALFORMED],
  ["an empty boundary", as("multipart/form-data; boundary=", bodyOf([context, config], "")), "400 build: "],
  ["a boundary that never comes", as(TYPE, "x"), MALFORMED],
  [
    "a boundary that is endless",
    as(`multipart/form-data; boundary=${"b".repeat(10_000)}`, bodyOf([context, config], "b".repeat(10_000))),
    BUILT,
  ],
  ["no parts", as(TYPE, "--b--\r\n"), "400 build: "],
  ["a cut part", as(TYPE, `--b\r\n${disposition("context", "x")}\r\n\r\nabc`), MALFORMED],
  ["a cut head", as(TYPE, `--b\r\n${disposition("context", "x")}`), MALFORMED],
  ["a part with a broken head", as(TYPE, "--b\r\n\0nonsense\r\n\r\nabc\r\n--b--\r\n"), MALFORMED],
  ["lines that end in LF", as(TYPE, bodyOf([context, config]).replaceAll("\r\n", "\n")), "400 build: "],
  ["parts behind the last boundary", as(TYPE, `${bodyOf([context, config])}${bodyOf([context, config])}`), TWO_PARTS],
  ["much before the first boundary", as(TYPE, `${"x".repeat(100_000)}\r\n${bodyOf([context, config])}`), BUILT],
  [
    "a context over the limit",
    of(file("context", "x".repeat(MAX_UPLOAD_BYTES + 1)), config),
    "413 build: the upload is larger than 2000 bytes",
  ],
  [
    "a body far over the limit",
    of(file("context", "x".repeat(3 * 1024 ** 2)), config),
    "413 build: the upload is larger than 2000 bytes",
  ],
  ["a body that says it is packed", () => ({ ...of(context, config)(), headers: ["Content-Encoding: gzip"] }), BUILT],
];

/** Uploads of builds, and the start of the answer: status and words, or that it was built all the same. */
export const MULTIPART_FORMS: readonly MultipartForm[] = [...PARTS, ...NAMES, ...CONFIGS, ...ENVELOPES];

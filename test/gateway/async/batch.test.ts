import { expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  batchLines,
  checkBatch,
  checkCopies,
  MAX_COPIED_BYTES,
  MAX_LINE_DEPTH,
  memberHeaders,
} from "../../../gateway/async/intake/batch.ts";

const LIMITS = { maxLines: 4, maxLineBytes: 20 };
const sizeOf = (body: Uint8Array, limits = LIMITS) => {
  const checking = checkBatch(body, limits);
  for (let step = checking.next(); ; step = checking.next()) if (step.done) return step.value;
};
const found = (body: Uint8Array) => [...batchLines(body)].filter((line) => line !== undefined);
const split = (text: string, limits = LIMITS) => {
  const body = Buffer.from(text);
  const lines = found(body).map(({ line }) => Buffer.from(line).toString());
  expect(sizeOf(body, limits)).toBe(lines.length);
  return lines;
};

test.each<[rule: string, text: string, lines: string[]]>([
  ["a line is a call", '{"a":1}\n[2]\n', ['{"a":1}', "[2]"]],
  ["the last line needs no end", "1\n2", ["1", "2"]],
  ["line ends of Windows", '"a"\r\n"b"\r\n', ['"a"', '"b"']],
  ["empty lines and blanks are left out", "\n1\n  \t\n\r\n2\n\n", ["1", "2"]],
  ["lines are passed on as they are", ' {"a" : 1 } \n', [' {"a" : 1 } ']],
  ["any JSON value", 'null\ntrue\n"ü"\n-1e3', ["null", "true", '"ü"', "-1e3"]],
])("%s", (_rule, text, lines) => {
  expect(split(text)).toEqual(lines);
});

const WIDE = { maxLines: 10_000, maxLineBytes: 20_000_000 };
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

test.each<[rule: string, text: string | Buffer, kind: string, message: string]>([
  ["no line", "", "invalid", "at least one line"],
  ["only empty lines", "\n \n", "invalid", "at least one line"],
  ["not JSON", "1\n\nhello", "invalid", "line 3 of the batch is not JSON"],
  ["two values in a line", '{"a":1}{"b":2}', "invalid", "line 1 of the batch is not JSON"],
  ["not UTF-8", Buffer.from([0x22, 0xff, 0x22]), "invalid", "line 1 of the batch is not JSON in UTF-8"],
  ["a line that is nested too deep", deep(MAX_LINE_DEPTH + 1), "invalid", "line 1 of the batch is nested deeper than"],
  ["too many lines", "1\n2\n3\n4\n5", "tooLarge", "at most 4 lines"],
  ["a line that is too long", `1\n"${"x".repeat(19)}"`, "tooLarge", "line 2 of the batch is longer than 20 bytes"],
])("refuses %s", (_rule, text, kind, message) => {
  const attempt = () => sizeOf(Buffer.from(text), kind === "invalid" ? WIDE : LIMITS);
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(expect.objectContaining({ kind }));
});

test("as many lines and bytes as the limits say are taken", () => {
  expect(split(`1\n2\n3\n"${"x".repeat(18)}"\n\n`)).toHaveLength(4);
});

test("whatever values are written one a line come back", () => {
  fc.assert(
    fc.property(fc.array(fc.json(), { minLength: 1 }), fc.constantFrom("\n", "\r\n", "\n\n"), (values, end) => {
      const lines = split(values.join(end), { maxLines: 1000, maxLineBytes: 1e6 });
      expect(lines.map((line) => JSON.parse(line))).toEqual(values.map((v) => JSON.parse(v)));
    }),
  );
});

test("lines of any bytes are those between the line ends, numbered", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
      const text = Buffer.from(body).toString("latin1");
      const expected = text
        .split("\n")
        .map((line, i) => [i + 1, line.replace(/\r$/, "")])
        .filter(([, line]) => !/^[ \t\r]*$/.test(line as string));
      const lines = found(body).map(({ number, line }) => [number, Buffer.from(line).toString("latin1")]);
      expect(lines).toEqual(expected);
    }),
  );
});

test("a line may be as deep as the limit says", () => {
  expect(sizeOf(Buffer.from(deep(MAX_LINE_DEPTH)), WIDE)).toBe(1);
});

test("a character that lies across two slices is whole", () => {
  for (let shift = 0; shift < 4; shift++) {
    expect(sizeOf(Buffer.from(`"${"x".repeat(shift)}${"\u{1f600}".repeat(200_000)}"`), WIDE)).toBe(1);
  }
  const broken = Buffer.from(`"${"\u{1f600}".repeat(200_000)}"`);
  broken[500_000] = 0xff;
  expect(() => sizeOf(broken, WIDE)).toThrow("line 1 of the batch is not JSON in UTF-8");
});

const MIB = 1024 ** 2;
test.each<[what: string, body: Buffer, outcome: number | string]>([
  ["10 MiB of newlines", Buffer.alloc(10 * MIB, "\n"), "at least one line"],
  ["10 MiB of blanks", Buffer.alloc(10 * MIB, " \t\r\n"), "at least one line"],
  ["newlines before and after a line", Buffer.from(`${"\n".repeat(5 * MIB)}1${"\n".repeat(5 * MIB)}`), 1],
  ["five million brackets that open", Buffer.alloc(5_000_000, "["), "nested deeper"],
  ["five million brackets side by side", Buffer.from(`[${"[],".repeat(2_500_000)}1]`), 1],
  ["millions of objects", Buffer.from(`[${'{"a":{}},'.repeat(1_000_000)}1]`), 1],
  ["millions of digits", Buffer.alloc(10 * MIB, "9"), 1],
  ["millions of escapes", Buffer.from(`"${"\\u0041".repeat(1_700_000)}"`), 1],
  ["a string without an end", Buffer.alloc(10 * MIB, '"x'), "not JSON"],
  ["10,000 lines of 1 KiB", Buffer.from(`"${"x".repeat(1021)}"\n`.repeat(10_000)), 10_000],
])("%s are looked at in slices, none of which takes long", (_what, body, outcome) => {
  const checking = checkBatch(body, WIDE);
  let longestMs = 0;
  const run = () => {
    for (;;) {
      const before = process.cpuUsage();
      const step = checking.next();
      const { user, system } = process.cpuUsage(before);
      longestMs = Math.max(longestMs, (user + system) / 1000);
      if (step.done) return step.value;
    }
  };
  if (typeof outcome === "number") expect(run()).toBe(outcome);
  else expect(run).toThrow(outcome);
  expect(longestMs).toBeLessThan(60);
});

test("each call of a batch gets the headers that do not speak of the batch", () => {
  const headers = [
    ["Content-Type", "application/x-ndjson"],
    ["X-Batch", "true"],
    ["X-CALLBACK-URL", "http://x/"],
    ["Authorization", "Bearer t"],
  ] as const;
  expect(memberHeaders(headers)).toEqual([["Authorization", "Bearer t"]]);
});

const head = (bytes: number) => ({ headers: [["A", "x".repeat(bytes - 2)]] as const, path: "/", query: "" });

test.each<[rule: string, head: Parameters<typeof checkCopies>[0], size: number, ok: boolean]>([
  ["few lines with large headers", head(1_000_000), 16, true],
  ["many lines with headers as usual", head(1500), 10_000, true],
  ["many lines with large headers", head(30_000), 10_000, false],
  ["a byte too many", head(MAX_COPIED_BYTES / 8192 + 1), 8192, false],
  ["a long path", { headers: [], path: `/${"x".repeat(30_000)}`, query: "" }, 10_000, false],
  ["a long query", { headers: [], path: "/", query: "x".repeat(30_000) }, 10_000, false],
  [
    "headers of the batch itself",
    { headers: [["X-Callback-Url", "x".repeat(8000)]], path: "/", query: "" },
    10_000,
    true,
  ],
])("%s: %p", (_rule, given, size, ok) => {
  const check = () => checkCopies(given, size);
  if (ok) check();
  else
    expect(check).toThrow(expect.objectContaining({ kind: "tooLarge", message: expect.stringContaining("headers") }));
});

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { batchLines, splitBatch } from "../../../gateway/core/batch.ts";

const LIMITS = { maxLines: 4, maxLineBytes: 20 };
const split = (text: string, limits = LIMITS) =>
  splitBatch(Buffer.from(text), limits).map((line) => Buffer.from(line).toString());

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

test.each<[rule: string, text: string | Buffer, kind: string, message: string]>([
  ["no line", "", "invalid", "at least one line"],
  ["only empty lines", "\n \n", "invalid", "at least one line"],
  ["not JSON", "1\n\nhello", "invalid", "line 3 of the batch is not JSON"],
  ["two values in a line", '{"a":1}{"b":2}', "invalid", "line 1 of the batch is not JSON"],
  ["not UTF-8", Buffer.from([0x22, 0xff, 0x22]), "invalid", "line 1 of the batch is not JSON in UTF-8"],
  ["too many lines", "1\n2\n3\n4\n5", "tooLarge", "at most 4 lines"],
  ["a line that is too long", `1\n"${"x".repeat(19)}"`, "tooLarge", "line 2 of the batch is longer than 20 bytes"],
])("refuses %s", (_rule, text, kind, message) => {
  const attempt = () => splitBatch(Buffer.from(text), LIMITS);
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(expect.objectContaining({ kind }));
});

test("as many lines and bytes as the limits say are taken", () => {
  expect(split(`1\n2\n3\n"${"x".repeat(18)}"\n\n`)).toHaveLength(4);
});

test("whatever values are written one a line come back", () => {
  fc.assert(
    fc.property(fc.array(fc.json(), { minLength: 1 }), fc.constantFrom("\n", "\r\n", "\n\n"), (values, end) => {
      const lines = splitBatch(Buffer.from(values.join(end)), { maxLines: 1000, maxLineBytes: 1e6 });
      expect(lines.map((line) => JSON.parse(Buffer.from(line).toString()))).toEqual(values.map((v) => JSON.parse(v)));
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
      const lines = [...batchLines(body)].map(({ number, line }) => [number, Buffer.from(line).toString("latin1")]);
      expect(lines).toEqual(expected);
    }),
  );
});

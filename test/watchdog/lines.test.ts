import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { LineSplitter } from "../../watchdog/lines.ts";

function split(chunks: readonly string[], maxBytes: number): string[] {
  const splitter = new LineSplitter(maxBytes);
  const lines = chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk)));
  const rest = splitter.flush();
  return [...lines, ...(rest === undefined ? [] : [rest])].map(String);
}

test.each<[rule: string, chunks: string[], lines: string[]]>([
  ["one line", ["abc\n"], ["abc"]],
  ["a line over several chunks", ["a", "b", "c\nd\n"], ["abc", "d"]],
  ["empty lines stay", ["a\n\n\nb\n"], ["a", "", "", "b"]],
  ["the unfinished last line is kept", ["a\nb"], ["a", "b"]],
  ["a line of exactly the limit is one line", ["12345678\n"], ["12345678"]],
  ["a longer one is split", ["1234567890\nx\n"], ["12345678", "90", "x"]],
  ["also across chunks", ["12345", "67890123", "456\n"], ["12345678", "90123456"]],
  ["an endless line comes in pieces", ["x".repeat(20)], ["xxxxxxxx", "xxxxxxxx", "xxxx"]],
  ["nothing at all is no line", [""], []],
])("%s", (_rule, chunks, lines) => {
  expect(split(chunks, 8)).toEqual(lines);
});

test("nothing is lost, and no line is too long", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\n") })),
      fc.integer({ min: 1, max: 9 }),
      (chunks, max) => {
        const lines = split(chunks, max);
        expect(lines.join("")).toBe(chunks.join("").replaceAll("\n", ""));
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(max);
      },
    ),
  );
});

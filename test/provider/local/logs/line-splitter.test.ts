import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { LogLineSplitter, MAX_LINE_BYTES } from "../../../../provider/backends/local/logs/line-splitter.ts";

function split(chunks: readonly (string | Buffer)[]): string[] {
  const lines: string[] = [];
  const splitter = new LogLineSplitter((line) => lines.push(line.toString("latin1")));
  for (const chunk of chunks) splitter.push(Buffer.from(chunk as string, "latin1"));
  splitter.flush();
  return lines;
}

test("lines come out the same however they were cut", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 20 })), fc.array(fc.nat(50)), (texts, cuts) => {
      const whole = texts.map((text) => text.replaceAll("\n", "").replaceAll(/[^ -~]/g, "")).join("\n");
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const chunks = places.slice(1).map((end, n) => whole.slice(places[n], end));
      expect(split(chunks)).toEqual(split([whole]));
    }),
  );
});

test("the last line needs no newline, and a last newline makes no line", () => {
  expect(split(["a\nb"])).toEqual(["a", "b"]);
  expect(split(["a\nb\n"])).toEqual(["a", "b"]);
  expect(split(["a\n\nb\n"])).toEqual(["a", "", "b"]);
});

test("an endless line becomes lines of 64 KiB", () => {
  const chunk = "x".repeat(100_000);
  const lines = split([chunk, chunk, "\nend\n"]);
  expect(lines.map((line) => line.length)).toEqual([
    MAX_LINE_BYTES,
    MAX_LINE_BYTES,
    MAX_LINE_BYTES,
    200_000 - 3 * MAX_LINE_BYTES,
    3,
  ]);
});

test("after a gap the rest of a torn line is left out", () => {
  const lines: string[] = [];
  const splitter = new LogLineSplitter((line) => lines.push(line.toString()));
  splitter.push(Buffer.from("one\ntw"));
  splitter.gap();
  splitter.push(Buffer.from("orn\nthree\n"));
  expect(lines).toEqual(["one", "tw", "three"]);
});

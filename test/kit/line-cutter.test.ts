import { expect, test } from "@jest/globals";
import { LineCutter, type LongLines } from "../../kit/line-cutter.ts";

test.each<[rule: LongLines, lines: string[] | undefined]>([
  ["refuse", undefined],
  ["cut", ["abcd", "ok"]],
  ["split", ["abcd", "efgh", "ij", "ok"]],
])("long lines, of which the rule is to %s them, however they come", (rule, lines) => {
  const text = "abcdefghij\nok\n";
  for (const size of [1, 3, 5, 20]) {
    const cutter = new LineCutter(4, rule);
    const read = () => {
      const read: string[] = [];
      for (let at = 0; at < text.length; at += size) read.push(...cutter.push(text.slice(at, at + size)));
      return read;
    };
    if (lines) expect(read()).toEqual(lines);
    else expect(read).toThrow("a line has more than 4 characters");
  }
});

test("a line that fits exactly is whole, by every rule", () => {
  for (const rule of ["refuse", "cut", "split"] as const) {
    const cutter = new LineCutter(4, rule);
    expect([...cutter.push("ab"), ...cutter.push("cd\n\nef")]).toEqual(["abcd", ""]);
    expect([cutter.rest, cutter.end(), cutter.end()]).toEqual(["ef", "ef", ""]);
  }
});

test("characters of several bytes are whole, and those that end in the middle are not lost", () => {
  const cutter = new LineCutter(10);
  const bytes = Buffer.from("ä€\n");
  expect([...bytes].flatMap((byte) => cutter.push(Uint8Array.of(byte)))).toEqual(["ä€"]);
  cutter.push(Buffer.from("x€").subarray(0, 2));
  expect(cutter.end()).toBe("x\ufffd");
});

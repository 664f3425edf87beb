import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { ROOT } from "../support/platform.ts";
import { Screen } from "./screen.ts";

const show = (text: string) => {
  const screen = new Screen(10, 3);
  screen.write(text);
  return screen.rows.map((cells) => cells.map((cell) => cell.text).join(""));
};

test.each<[rule: string, text: string, rows: string[]]>([
  ["lines", "a\r\nb", ["a", "b"]],
  ["a line that is written over", "abc\rx", ["xbc"]],
  ["a line that is longer than the screen", "0123456789ab", ["0123456789", "ab"]],
  ["lines that go out at the top", "a\r\nb\r\nc\r\nd", ["b", "c", "d"]],
  ["a line above that is written anew", "a\r\nb\x1b[1A\x1b[2K\x1b[Gc", ["c", "b"]],
  ["the rest of a line and of the screen that is taken away", "abc\r\nd\x1b[1A\x1b[2G\x1b[K\x1b[J", ["a"]],
  ["a cursor that hides, and what other sequences say", "\x1b[?25la\x1b[?2026h\x1b(Bb", ["ab"]],
  ["places", "\x1b[2;3Hx", ["", "  x"]],
])("a screen shows %s", (_rule, text, rows) => expect(show(text)).toEqual(rows));

test("a screen shows colours", () => {
  const screen = new Screen(10, 1);
  screen.write("\x1b[1;32ma\x1b[22mb\x1b[39mc\x1b[91md\x1b[0me");
  expect(screen.rows[0]?.map(({ colour, bold }) => [colour, bold])).toEqual([
    [2, true],
    [2, false],
    [undefined, false],
    [9, false],
    [undefined, false],
  ]);
});

test("the recording of the first function is of the whole way, and of nobody's machine", () => {
  const read = (name: string) => readFileSync(join(ROOT, "docs/img", name), "utf8");
  const [header, ...moments] = read("first-function.cast")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(header).toMatchObject({ version: 2, width: 104, height: 28 });
  const screen = new Screen(104, 1000);
  for (const moment of moments) screen.write(moment[2] as string);
  const shown = screen.rows.map((cells) => cells.map(({ text }) => text).join(""));
  const steps = [
    /^\$ faaslane new hello --lang node$/,
    /^\$ faaslane up --watch &$/,
    /^Watching hello/,
    /^\$ echo 'module\.exports/,
    /^hello: deployed in [01]\.\d+ s$/,
    /^Hello, Ada!$/,
  ];
  const places = steps.map((step) => shown.findIndex((line) => step.test(line)));
  expect(places).not.toContain(-1);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  const picture = read("first-function.svg");
  for (const text of [shown.join("\n"), picture]) expect(text).not.toMatch(/\/(tmp|root|home|work|Users)\//);
  expect(picture).toContain("Hello, Ada!");
});

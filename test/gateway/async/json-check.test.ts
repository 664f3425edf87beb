import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { JsonCheck } from "../../../gateway/async/intake/json-check.ts";

const check = new JsonCheck(5);

/** All in one piece, and byte by byte. */
function problemOf(text: string): string | undefined {
  const bytes = Buffer.from(text);
  check.reset();
  const whole = check.add(bytes, 0, bytes.length) ?? check.end();
  check.reset();
  for (let at = 0; at < bytes.length; at++) check.add(bytes, at, at + 1);
  expect(check.end()).toBe(whole);
  return whole;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test.each([
  "0",
  "-0",
  "10",
  "-1.5",
  "1e3",
  "1E+3",
  "0.5e-10",
  "01",
  "-",
  "1.",
  ".5",
  "+1",
  "1e",
  "1e+",
  "0x1",
  "1.2.3",
  "--1",
  "1-",
  "true",
  "false",
  "null",
  "tru",
  "nulll",
  "True",
  "nan",
  "Infinity",
  "undefined",
  '""',
  '"a"',
  '"\\n\\u00e9\\"\\\\\\/"',
  '"\\x"',
  '"\\u12"',
  '"\\u12g4"',
  '"',
  '"a',
  '"\n"',
  '"\u0000"',
  "'a'",
  '"\u007f\u{10ffff}"',
  "[]",
  "[1]",
  "[1,2]",
  "[1,]",
  "[,1]",
  "[1 2]",
  "[",
  "]",
  "[}",
  "[]]",
  "[[]",
  " [ 1 , [ ] ] ",
  "{}",
  '{"a":1}',
  '{"a":1,"b":[]}',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  "{,}",
  "{1:2}",
  "{a:1}",
  "{",
  "}",
  "{]",
  '{"a":{"a":{}}}',
  "",
  " ",
  "\t\r\n 1 \t\r\n",
  "1 2",
  "[]{}",
  "\u00a01",
  "\ufeff1",
  "/* */1",
])("%j is JSON to it as it is to the parser", (text) => {
  expect(problemOf(text)).toBe(isJson(text) ? undefined : "syntax");
});

test.each<[text: string, problem: string | undefined]>([
  ["[[[[[]]]]]", undefined],
  ["[[[[[[]]]]]]", "depth"],
  ['{"a":{"a":{"a":[[{}]]}}}', "depth"],
  ["[[],[[]],[[[]]],[[[[]]]]]", undefined],
  ['["[[[[[[[[[["]', undefined],
])("%j: %p", (text, problem) => {
  expect(problemOf(text)).toBe(problem);
});

test("whatever the parser makes of a text, it makes the same of it", () => {
  const deep = new JsonCheck(1000);
  const noise = fc.constantFrom(...'{}[]",:\\ \n0123-+.eEtruefalsnu/bx');
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.nat(3), fc.array(noise, { maxLength: 3 }))
    .map(([text, at, cut, more]) => {
      const where = at % (text.length + 1);
      return text.slice(0, where) + more.join("") + text.slice(where + cut);
    });
  fc.assert(
    fc.property(
      fc.oneof(
        broken,
        fc.array(noise, { maxLength: 12 }).map((parts) => parts.join("")),
      ),
      (text) => {
        const bytes = Buffer.from(text);
        // Halves of characters that were cut have no place in UTF-8.
        const sent = bytes.toString();
        deep.reset();
        deep.add(bytes, 0, bytes.length);
        expect([sent, deep.end()]).toEqual([sent, isJson(sent) ? undefined : "syntax"]);
      },
    ),
    { numRuns: 3000 },
  );
});

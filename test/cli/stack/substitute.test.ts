// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax of stack files

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { SubstitutionError, substitute } from "../../../cli/stack/substitute.ts";

const VARIABLES: Readonly<Record<string, string>> = {
  NAME: "abcdEFGH28ij",
  PATH: "/home/bozo/ideas/thoughts.for.today",
  FILE: "bash.string.txt",
  LETTERS: "abcABC123ABCabc",
  GREETING: "grüße, Zoë 👋",
  EMPTY: "",
  TWO: "2",
};

const run = (text: string) =>
  substitute(text, (name) => (Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined));

test.each<[rule: string, text: string, expected: string]>([
  ["text without expressions stays", "image: a/b:1 # 5 € {x}", "image: a/b:1 # 5 € {x}"],
  ["a variable is replaced", "a ${NAME} b", "a abcdEFGH28ij b"],
  ["an unset variable is empty", "[${NOPE}]", "[]"],
  ["names may hold letters of any script", "[${größe}]", "[]"],
  ["several in one line", "${TWO}${TWO}-${TWO}", "22-2"],
  ["without braces nothing happens", "$NAME $1 $ $", "$NAME $1 $ $"],

  ["a default for what is unset", "${NOPE:-d}", "d"],
  ["empty counts as unset", "${EMPTY:-d}", "d"],
  ["a value wins over the default", "${NAME:-d}", "abcdEFGH28ij"],
  [":= is a default too", "${NOPE:=d}", "d"],
  ["= is a default too", "${NOPE=d}", "d"],
  [":? has no meaning of its own", "${NOPE:?d}${TWO:?d}", "d2"],
  [":+ has no meaning of its own", "${NOPE:+d}${TWO:+d}", "d2"],
  ["an empty default", "[${NOPE:-}]", "[]"],
  ["a default with the characters of YAML", "${NOPE:-http://a:80/b?c=d, {x: [1]}", "http://a:80/b?c=d, {x: [1]"],
  ["a default over lines", "${NOPE:-a\nb}", "a\nb"],
  ["a nested default", "${NOPE:-${EMPTY:-${TWO}}}", "2"],
  ["text around a nested default", "${NOPE:-a-${TWO}-b}", "a-2-b"],
  ["a dollar in a default", "${NOPE:-a$b$}", "a$b$"],

  ["the length in characters", "${#NAME} ${#GREETING} ${#NOPE}", "12 12 0"],
  ["the first letter upper-cased", "${NAME^}", "AbcdEFGH28ij"],
  ["all letters upper-cased", "${NAME^^}", "ABCDEFGH28IJ"],
  ["the first letter lower-cased", "${LETTERS,} ${EMPTY,}", "abcABC123ABCabc "],
  ["all letters lower-cased", "${NAME,,}", "abcdefgh28ij"],

  ["a substring from a position", "${PATH:11}", "ideas/thoughts.for.today"],
  ["a substring with a length", "${PATH:11:5}", "ideas"],
  ["a negative position counts from the end", "${NAME:-4}${NAME: -4}", "abcdEFGH28ij28ij"],
  ["a position before the start", "${TWO: -40}", "2"],
  ["a position behind the end", "[${TWO:40}][${TWO:40:1}]", "[][]"],
  ["a length that is too long", "${TWO:0:40}", "2"],
  ["a length of nothing", "[${NAME:3:0}]", "[]"],
  ["a position from a variable", "${NAME:${TWO}:${TWO}}", "cd"],
  ["characters are never cut in two", "${GREETING:11}", "👋"],

  ["the shortest prefix goes", "${FILE#*.}", "string.txt"],
  ["the longest prefix goes", "${FILE##*.}", "txt"],
  ["the shortest suffix goes", "${FILE%.*}", "bash.string"],
  ["the longest suffix goes", "${FILE%%.*}", "bash"],
  ["a pattern that does not match", "${FILE#y*}${FILE%y*}", "bash.string.txtbash.string.txt"],
  ["? is any one character", "${NAME#??}", "cdEFGH28ij"],
  ["[…] is one of these", "${NAME#[a-c][!x]}", "cdEFGH28ij"],
  ["[^…] is none of these", "${NAME#[^b]}", "bcdEFGH28ij"],
  ["* crosses slashes", "${PATH##*/}", "thoughts.for.today"],
  ["special characters of other languages are plain", "${FILE%.txt}${FILE%(txt)}", "bash.stringbash.string.txt"],
  ["a pattern from a variable", "${NAME#${NAME}}", ""],

  ["the first occurrence is replaced", "${LETTERS/abc/x}", "xABC123ABCabc"],
  ["every occurrence is replaced", "${LETTERS//abc/x}", "xABC123ABCx"],
  ["a prefix is replaced", "${LETTERS/#abc/x}${LETTERS/#ABC/x}", "xABC123ABCabcabcABC123ABCabc"],
  ["a suffix is replaced", "${LETTERS/%abc/x}${LETTERS/%ABC/x}", "abcABC123ABCxabcABC123ABCabc"],
  ["replaced by nothing", "${LETTERS//abc/}", "ABC123ABC"],
  ["a slash to be replaced", "${PATH//\\//-}", "-home-bozo-ideas-thoughts.for.today"],
  ["the replacement is text", "${TWO/2/$&$1}", "$&$1"],
  ["a nested replacement", "${FILE/bash/${TWO}}", "2.string.txt"],

  ["two dollars before a brace are an escape", "$${NAME}", "${NAME}"],
  ["two dollars are one", "a$$b $$$${NAME}", "a$b $${NAME}"],
  ["a dollar and an expression", "$$${TWO}", "$2"],
  ["escaped backslashes and slashes", "a\\\\b \\/c \\n", "a\\b /c \\n"],
])("%s", (_rule, text, expected) => {
  expect(run(text)).toBe(expected);
});

test.each<[rule: string, text: string]>([
  ["a dash alone is no default", "${NAME-d}"],
  ["a plus alone is no default", "${NAME+d}"],
  ["an unclosed expression", "a ${NAME"],
  ["an unclosed default", "a ${NAME:-d"],
  ["a template expression of another tool", "a ${{ NAME }}"],
  ["no name", "${}"],
  ["no name, with a default", "${:-d}"],
  ["a space in the name", "${NA ME}"],
  ["a position that is no number", "${NAME:x}"],
  ["no position", "${NAME:}"],
  ["a negative length", "${NAME:1:-1}"],
  ["a length of nothing at all", "${NAME:1:}"],
  ["a replacement without an end", "${NAME/a}"],
  ["nothing to replace", "${NAME//}"],
  ["no pattern to trim", "${NAME#}"],
  ["a pattern that is no glob", "${NAME#[z-a]}"],
  ["something after the length", "${#NAME:-1}"],
  ["nesting without end", "${A:-".repeat(10_000)],
])("refuses %s", (_rule, text) => {
  expect(() => run(text)).toThrow(SubstitutionError);
});

test("an error says where the expression begins", () => {
  const attempt = () => run("version: 1.0\n# ok\n  gateway: ${NAME-d}\n");
  expect(attempt).toThrow(expect.objectContaining({ line: 3, column: 12 }));
  expect(attempt).toThrow("bad substitution: ${NAME-d}");
});

const fragments = fc.constantFrom(
  "$",
  "{",
  "}",
  "${",
  "A",
  ":",
  "-",
  "=",
  "#",
  "%",
  "/",
  "^",
  ",",
  "\\",
  "*",
  "[",
  "]",
  "1",
  "\n",
  " ",
);

test("text without dollars and backslashes never changes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const plain = text.replace(/[$\\]/g, "");
      expect(substitute(plain, () => "x")).toBe(plain);
    }),
  );
});

test("whatever is written, the outcome is text or the module's own error", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fragments, { maxLength: 40 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(texts, fc.string(), (text, value) => {
      try {
        expect(typeof substitute(text, () => value)).toBe("string");
      } catch (error) {
        expect(error).toBeInstanceOf(SubstitutionError);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("a value is never expanded again", () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      expect(substitute("<${A}|${B:-${A}}>", (name) => (name === "A" ? value : undefined))).toBe(`<${value}|${value}>`);
    }),
  );
});

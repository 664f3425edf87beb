import { expect, test } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { type Block, blocksOf, CURRENT } from "./documents.ts";

const blocks = CURRENT.flatMap(blocksOf);
const told = ({ page, line }: Block, why: unknown) => `${page}:${line}: ${String(why).split("\n")[0]}`;

test("every block says what it is written in", () => {
  expect(blocks.length).toBeGreaterThan(150);
  expect(blocks.filter(({ language }) => language === "").map((block) => told(block, "no language"))).toEqual([]);
});

test("every block of YAML is YAML, without a key twice", () => {
  const yaml = blocks.filter(({ language }) => ["yaml", "yml"].includes(language));
  const faults = yaml.flatMap((block) =>
    parseAllDocuments(block.text).flatMap(({ errors, warnings }) =>
      [...errors, ...warnings].map((e) => told(block, e)),
    ),
  );
  expect(yaml.length).toBeGreaterThan(20);
  expect(faults).toEqual([]);
});

test("every block of JSON is JSON", () => {
  const json = blocks.filter(({ language }) => language === "json");
  const faults = json.flatMap((block) => {
    try {
      JSON.parse(block.text);
      return [];
    } catch (error) {
      // Several answers under each other, a line each.
      const lines = block.text.split("\n");
      return lines.every((line) => line.startsWith("{") && isJson(line)) ? [] : [told(block, error)];
    }
  });
  expect(json.length).toBeGreaterThan(5);
  expect(faults).toEqual([]);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

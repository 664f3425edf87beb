import { spawnSync } from "node:child_process";
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

/** What a shell is given; of a session, without its answers. */
const shell = blocks
  .filter(({ language }) => ["sh", "bash", "console"].includes(language))
  .map((block) => ({
    ...block,
    text: block.language === "console" ? (block.text.match(/(?<=^\$ )(?:.*\\\n)*.*/gm) ?? []).join("\n") : block.text,
  }));

test("a shell understands every block for it", () => {
  expect(shell.length).toBeGreaterThan(50);
  const script = shell.map(({ text }, index) => `block_${index}() {\n:\n${text}\n}\n`).join("");
  const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test("every variable in a block for a shell is set on its page", () => {
  const ALWAYS = ["HOME", "PWD"];
  const set = new Set(
    shell.flatMap(({ page, text }) =>
      [...text.matchAll(/(?:^|[\s(;])([A-Za-z_]\w*)=/g)].map(([, name]) => `${page}: ${name}`),
    ),
  );
  // What is in single quotes, as are documents for `cat`, is not for the shell.
  const bare = ({ text }: Block) => text.replace(/<<'(\w+)'\n[\s\S]*?^\1$/gm, "").replace(/'[^']*'/g, "");
  const used = shell.flatMap((block) =>
    [...bare(block).matchAll(/\$\{?([A-Za-z_]\w*)/g)].map(([, name]) => [block.page, name as string] as const),
  );
  expect(used.length).toBeGreaterThan(15);
  expect(used.filter(([page, name]) => !set.has(`${page}: ${name}`) && !ALWAYS.includes(name))).toEqual([]);
});

test("addresses that a shell would take for patterns are in quotes", () => {
  const naked = shell.flatMap(
    (block) => block.text.replace(/'[^']*'|"[^"]*"/g, "").match(/https?:\/\/\S*[?*&]\S*/g) ?? [],
  );
  expect(naked).toEqual([]);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

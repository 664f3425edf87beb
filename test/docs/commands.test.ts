import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeAll, expect, test } from "@jest/globals";
import { type CommandNode, describeTree, nameOf } from "../../cli/completion/describe-tree.ts";
import { buildProgram } from "../../cli/program.ts";
import { ROOT } from "../support/platform.ts";
import { blocksOf, CURRENT, spansOf } from "./documents.ts";

let root: CommandNode;

beforeAll(async () => {
  const nowhere = { write: () => true } as unknown as NodeJS.WriteStream;
  const io = { stdout: nowhere, stderr: nowhere, stdin: Readable.from([]), env: {}, cwd: "/", home: "/" };
  root = describeTree(await buildProgram("all", { ...io, sourceRoot: ROOT, version: "1.2.3", commit: "" }));
});

/** Code of the pages that a shell would run, line by line, lines that go on put together. */
const lines = CURRENT.flatMap((page) => [
  ...spansOf(page).map((text) => ({ page: page.path, text })),
  ...blocksOf(page)
    .filter(({ language }) => ["sh", "bash", "console", "text", "dockerfile"].includes(language))
    .flatMap(({ text }) => text.replace(/\\\n\s*/g, "").split("\n"))
    .map((text) => ({ page: page.path, text: text.replace(/(?:^|\s)#\s.*$/, "") })),
]);

/** What `faaslane` is given, up to where the shell has something else to do with it. */
const CALL =
  /(?:^|[\s$(|&;])(?:npm run (?:--silent )?faaslane --|npx faaslane|(?<!helm \S+ )faaslane)((?: (?:'[^']*'|"[^"]*"|[^\s'"|&;<>()#]+))+)/g;

test("every command and flag of faaslane on a page is one", () => {
  const used = lines.flatMap(({ page, text }) =>
    [...text.matchAll(CALL)].map(([, words = ""]) => ({ page, words: words.match(/'[^']*'|"[^"]*"|\S+/g) ?? [] })),
  );
  const faults = used.flatMap(({ page, words }) =>
    faultsOf(words).map((fault) => `${page}: faaslane ${words.join(" ")}: ${fault}`),
  );
  expect(used.length).toBeGreaterThan(200);
  expect(faults).toEqual([]);
});

function faultsOf(words: readonly string[]): string[] {
  if (!/^[a-z][a-z-]*$/.test(words[0] as string) || words[0] === "help") return [];
  let node = root;
  for (const word of words) {
    const next: CommandNode | undefined = node.children.find(
      (child) => nameOf(child) === word || child.aliases.includes(word),
    );
    if (next === undefined) break;
    node = next;
  }
  if (node === root) return [`there is no command ${words[0]}`];
  const known = [...node.flags, ...root.flags].flatMap(({ long, short = "" }) => [long, short]);
  const end = words.indexOf("--");
  return words
    .slice(0, end < 0 ? words.length : end)
    .map((word) => /^--?[a-z][a-z0-9-]*(?==|$)/.exec(word)?.[0])
    .filter((flag) => flag !== undefined && !known.includes(flag))
    .map((flag) => `${node.path} has no ${flag}`);
}

test("every script of npm on a page is one, and the other way round", () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const used = lines.flatMap(({ page, text }) =>
    [...text.matchAll(/npm run (?:--silent )?([a-z][a-z0-9:-]+)/g)].map(([, name]) => [page, name as string]),
  );
  expect(used.length).toBeGreaterThan(30);
  expect(used.filter(([, name]) => scripts[name as string] === undefined)).toEqual([]);
  const told = new Set(used.map(([, name]) => name));
  // npm runs the first by itself; the others have a command of npm's own.
  const silent = Object.keys(scripts).filter((name) => !told.has(name) && !["prepare", "start", "test"].includes(name));
  expect(silent).toEqual([]);
});

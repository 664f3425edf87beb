import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { ROOT } from "./support/platform.ts";

const text = readFileSync(join(ROOT, "SECURITY.md"), "utf8");
const [promised = "", limits = ""] = text.split(/^## (?=What is promised|Limits)/m).slice(1);

/** Rows of all tables of a part, without their heads. */
const rowsOf = (part: string) =>
  part
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (Promise|Of) \|/.test(line))
    .map((line) => line.slice(2, -2).split(" | "));

test("every promise names a test that there is", () => {
  const rows = rowsOf(promised);
  expect(rows.length).toBeGreaterThan(30);
  for (const [promise, tests = ""] of rows) {
    const paths = [...tests.matchAll(/\]\((test\/[^)]+)\)/g)].map(([, path]) => path as string);
    expect([promise, paths.length > 0, paths.filter((path) => !existsSync(join(ROOT, path)))]).toEqual([
      promise,
      true,
      [],
    ]);
  }
});

test("every setting of the table of limits is told of where settings are", () => {
  const documented = ["gateway", "provider", "watchdog"]
    .map((part) => readFileSync(join(ROOT, part, "README.md"), "utf8"))
    .join("\n");
  const settings = rowsOf(limits).flatMap(([, , setting = ""]) => [...setting.matchAll(/`([^`]+)`/g)]);
  expect(settings.length).toBeGreaterThan(20);
  expect(settings.map(([, name]) => name).filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
});

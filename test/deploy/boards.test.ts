import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { GATEWAY_SERIES } from "../compat/series.ts";
import { ALERTS_FILE, BOARDS, EXPRESSIONS, expressionsOf, RULES } from "../support/boards.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";
import { type Exported, missingFrom, readExpression } from "../support/promql.ts";

/* What can be said of boards and alerts without a run; test/e2e/boards.test.ts holds them to what is exported. */

const noPromtool = unlessRequired(
  spawnSync("promtool", ["--version"]).status === 0 ? undefined : "promtool is not installed",
);

test.each<[text: string, metrics: string[], grouping: string[]]>([
  ["up", ["up()"], []],
  ['a{b="c", d!~"e{},f"} > 0', ["a(b,d)"], []],
  ["sum by (x, le) (rate(a_bucket[5m] offset 1h))", ["a_bucket()"], ["x", "le"]],
  ["sum(rate(a[$__rate_interval])) without (y)", ["a()"], ["y"]],
  ['a and on (i) b{c="d"} unless ignoring (k) e', ["a()", "b(c)", "e()"], ["i", "k"]],
  ["a * on (i) group_left (l) b == bool 1", ["a()", "b()"], ["i", "l"]],
  ["histogram_quantile(0.99, sum by (le) (rate(a_bucket[1m])))", ["a_bucket()"], ["le"]],
  ["1.5e3 + vector(2)", [], []],
])("the series of %s", (text, metrics, grouping) => {
  const { selectors, ...rest } = readExpression(text);
  expect(selectors.map(({ metric, labels }) => `${metric}(${labels})`)).toEqual(metrics);
  expect(rest.grouping).toEqual(grouping);
});

test.each<[text: string, missing: string[]]>([
  ['sum by (b) (a{b="c"})', []],
  ["sum by (instance) (a)", []],
  ["nothing", ["no metric nothing"]],
  ['a{c="d"}', ["no label c of a"]],
  ["sum by (c) (a)", ["no label c to group by"]],
])("what is missing for %s", (text, missing) => {
  const exported: Exported = new Map([["a", new Set(["b"])]]);
  expect(missingFrom(exported, text)).toEqual(missing);
});

describe.each([...BOARDS])("the board %s", (_file, { panels, uid, title, templating }) => {
  test("has what Grafana needs to import it", () => {
    expect(uid).toMatch(/^[\w-]{1,40}$/);
    expect(title).not.toBe("");
    expect(templating.list.map(({ name }) => name)).toEqual(["datasource", "function"]);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  test("says of every panel what it shows, and puts none over another", () => {
    const taken = new Set<string>();
    for (const {
      type,
      title: name,
      description,
      gridPos: { x, y, w, h },
    } of panels) {
      if (type !== "row") expect([name, description]).toEqual([name, expect.stringMatching(/\.$/)]);
      expect([name, x + w <= 24]).toEqual([name, true]);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect([name, taken.has(`${column},${line}`)]).toEqual([name, false]);
          taken.add(`${column},${line}`);
        }
      }
    }
  });
});

test("the board for OpenFaaS asks for names that OpenFaaS has, the first row for those of every edition", () => {
  const board = BOARDS.get("openfaas.json");
  if (!board) throw new Error("there is no such board");
  const metrics = (panels: typeof board.panels) =>
    expressionsOf("", { ...board, panels }).flatMap(({ expression }) =>
      readExpression(expression).selectors.map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, "")),
    );
  const first = board.panels.slice(
    0,
    board.panels.findIndex(({ type }, index) => type === "row" && index > 0),
  );
  const free = GATEWAY_SERIES.map(([name]) => name.replace(/_(bucket|sum|count)$/, ""));
  expect([...new Set(metrics(first))].filter((name) => !free.includes(name))).toEqual([]);
  const paid =
    /^(gateway_function_invocation_inflight|gateway_service_(ready|target_load)|queue_worker_(pending_messages|messages_(submitted|processed)_total|function_invocation_inflight))$/;
  expect(metrics(board.panels).filter((name) => !free.includes(name) && !paid.test(name))).toEqual([]);
});

test("every alert has a severity, and tells in words what is wrong", () => {
  expect(new Set(RULES.map(({ alert }) => alert)).size).toBe(RULES.length);
  for (const { alert, labels, annotations } of RULES) {
    expect([alert, labels]).toEqual([alert, { severity: expect.stringMatching(/^(critical|warning|info)$/) }]);
    expect(annotations).toEqual({ summary: expect.any(String), description: expect.any(String) });
  }
});

testNeeding(noPromtool)("the rules are sound", () => {
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", ALERTS_FILE], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`SUCCESS: ${RULES.length} rules found`);
});

testNeeding(noPromtool)("the rules fire when they should, and not before", async () => {
  const folder = await temporaryFolder();
  try {
    const words = (key: string, value: unknown) => (key === "annotations" ? undefined : value);
    const rules = JSON.stringify(parse(readFileSync(ALERTS_FILE, "utf8")), words);
    writeFileSync(join(folder.path, "alerts.yaml"), rules);
    copyFileSync(join(ROOT, "test/deploy/alerts.tests.yaml"), join(folder.path, "tests.yaml"));
    const { status, stdout } = spawnSync("promtool", ["test", "rules", join(folder.path, "tests.yaml")], {
      encoding: "utf8",
    });
    expect([status, status === 0 ? "" : stdout]).toEqual([0, ""]);
  } finally {
    await folder.remove();
  }
});

test("no expression is read as none", () => {
  for (const { where, expression } of EXPRESSIONS) {
    expect([where, readExpression(expression).selectors.length > 0]).toEqual([where, true]);
  }
});

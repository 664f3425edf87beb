import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { GATEWAY } from "../compat/differences.ts";
import { testNeeding } from "../support/needing.ts";
import { CALL_ROWS } from "./call-rows.ts";
import { CONTROL_ROWS, REFLECT_DEPLOYMENT } from "./control-rows.ts";
import { expectFacts } from "./facts.ts";
import { BETTER, MORE_CONTROL_ROWS } from "./more-control-rows.ts";
import { ECHO, openTarget, type Target, unlessFaaslane } from "./target.ts";

let target: Target;

beforeAll(async () => {
  target = await openTarget({ functions: ["reflect", "extra", "replaced"], secrets: ["probe"] });
  await target.deploy(REFLECT_DEPLOYMENT);
}, 120_000);

afterAll(() => target?.close());

describe("control routes", () => {
  for (const row of CONTROL_ROWS) {
    testNeeding(unlessFaaslane(GATEWAY[row[0]]))(row[0], async () => expectFacts(await target.ask(row), row));
  }
});

describe("control routes that were not recorded", () => {
  beforeAll(() => target.deploy({ service: "extra", ...ECHO }), 90_000);

  for (const row of MORE_CONTROL_ROWS) {
    testNeeding(unlessFaaslane(BETTER[row[0]]))(row[0], async () => expectFacts(await target.ask(row), row));
  }
});

test("each row has a name of its own, and each difference is one of a row", () => {
  const recorded = [...CALL_ROWS, ...CONTROL_ROWS].map(([name]) => name);
  const more = MORE_CONTROL_ROWS.map(([name]) => name);
  for (const names of [recorded, more])
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  expect(Object.keys(GATEWAY).filter((name) => !recorded.includes(name))).toEqual([]);
  expect(Object.keys(BETTER).filter((name) => !more.includes(name))).toEqual([]);
});

import { afterAll, beforeAll, describe } from "@jest/globals";
import { GATEWAY } from "../compat/differences.ts";
import { testNeeding } from "../support/needing.ts";
import { CONTROL_ROWS, REFLECT_DEPLOYMENT } from "./control-rows.ts";
import { expectFacts } from "./facts.ts";
import { openTarget, type Target, unlessFaaslane } from "./target.ts";

let target: Target;

beforeAll(async () => {
  target = await openTarget({ functions: ["reflect", "extra"], secrets: ["probe"] });
  await target.deploy(REFLECT_DEPLOYMENT);
}, 120_000);

afterAll(() => target?.close());

describe("control routes", () => {
  for (const row of CONTROL_ROWS) {
    testNeeding(unlessFaaslane(GATEWAY[row[0]]))(row[0], async () => expectFacts(await target.ask(row), row));
  }
});

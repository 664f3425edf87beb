import { afterAll, beforeAll, describe } from "@jest/globals";
import { GATEWAY } from "../compat/differences.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { CALL_ROWS } from "./call-rows.ts";
import { expectFacts } from "./facts.ts";
import { noReflect, noSlowGateway, openTarget, REFLECT, type Target, unlessFaaslane } from "./target.ts";

let target: Target;

beforeAll(async () => {
  target = await openTarget({ functions: ["reflect"] });
  await target.deploy({ service: "reflect", ...REFLECT });
  await eventually("reflect answers", async () => (await target.call("reflect")).status === 200, 60_000);
}, 120_000);

afterAll(() => target?.close());

const SLOW = "function slower than the upstream timeout";

describe("calls of functions", () => {
  for (const row of CALL_ROWS) {
    const [name] = row;
    const missing = unlessFaaslane(GATEWAY[name]) ?? noReflect ?? (name === SLOW ? noSlowGateway : undefined);
    testNeeding(missing)(name, async () => expectFacts(await target.ask(row), row));
  }
});

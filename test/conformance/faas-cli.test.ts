import { afterAll, beforeAll, describe } from "@jest/globals";
import { CLI } from "../compat/differences.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { CLI_ROWS } from "./cli-commands.ts";
import { expectFacts } from "./facts.ts";
import { openTarget, type Target, unlessFaaslane } from "./target.ts";

let target: Target;

beforeAll(async () => {
  target = await openTarget({ functions: ["greet", "plain", "badmem"], secrets: ["api-key"] });
}, 120_000);

afterAll(() => target?.close());

/** Rows whose answer says how many replicas serve, which takes its time. */
const TELLS_REPLICAS = /^(list|list verbose|describe)(, 2)?$/;

describe("what faas-cli asks, in its order, is answered as it relies on", () => {
  for (const row of CLI_ROWS) {
    testNeeding(unlessFaaslane(CLI[row[0]]))(
      row[0],
      async () => {
        if (TELLS_REPLICAS.test(row[0])) {
          const isReady = async () => (await target.ask(row))?.body.includes("availableReplicas");
          await eventually("the replica is ready", isReady, 60_000, 50);
        }
        expectFacts(await target.ask(row), row);
      },
      90_000,
    );
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import handle from "./handler.ts";
import type { FunctionContext } from "./types.ts";

test("says what it received", async () => {
  const event = { body: "hello", headers: {}, method: "POST", path: "/greet", query: {} };
  const context = { status: () => context } as unknown as FunctionContext;
  assert.deepEqual(await handle(event, context), { received: "hello", method: "POST", path: "/greet" });
});

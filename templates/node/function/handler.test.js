const assert = require("node:assert/strict");
const { test } = require("node:test");
const handle = require("./handler.js");

test("says what it received", async () => {
  const event = {
    body: { name: "Ada" },
    headers: { "content-type": "application/json" },
    method: "POST",
    path: "/",
    query: {},
  };
  assert.deepEqual(await handle(event, { status() {} }), {
    received: { name: "Ada" },
    contentType: "application/json",
    method: "POST",
    path: "/",
  });
});

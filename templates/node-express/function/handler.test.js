const assert = require("node:assert/strict");
const { once } = require("node:events");
const { test } = require("node:test");
const app = require("./handler.js");

test("says what it received", async () => {
  const server = app.listen(0, "127.0.0.1");
  try {
    await once(server, "listening");
    const url = `http://127.0.0.1:${server.address().port}/greet`;
    const answer = await fetch(url, { method: "POST", body: "hello", headers: { "content-type": "text/plain" } });
    assert.deepEqual(await answer.json(), { received: "hello", method: "POST", path: "/greet" });
  } finally {
    server.close();
  }
});

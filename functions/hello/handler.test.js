const assert = require("node:assert/strict");
const { beforeEach, test } = require("node:test");
const hello = require("./handler.js");

beforeEach(() => {
  process.env.GREETING = "Hi";
});

for (const [rule, event, message] of [
  ["the query names", { query: { name: "Ada" } }, "Hi, Ada!"],
  ["a JSON body names", { query: {}, body: { name: "Zoë" } }, "Hi, Zoë!"],
  ["a text body names", { query: {}, body: " Grace\n" }, "Hi, Grace!"],
  ["nobody is the world", { query: {}, body: undefined }, "Hi, world!"],
  ["a name is text", { query: {}, body: { name: 7 } }, "Hi, world!"],
]) {
  test(rule, async () => {
    assert.equal((await hello(event)).message, message);
  });
}

test("greets without a greeting in the environment", async () => {
  delete process.env.GREETING;
  assert.equal((await hello({ query: {} })).message, "Hello, world!");
});

test("counts the calls of its replica", async () => {
  const first = await hello({ query: {} });
  const second = await hello({ query: {} });
  assert.equal(second.replica.calls, first.replica.calls + 1);
});

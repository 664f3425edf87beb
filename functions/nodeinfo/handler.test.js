const assert = require("node:assert/strict");
const { test } = require("node:test");
const nodeinfo = require("./handler.js");

test("tells about the machine, and more when asked", async () => {
  const brief = await nodeinfo({ body: undefined, query: {} });
  assert.equal(brief.platform, process.platform);
  assert.equal(brief.memory, undefined);
  assert.ok((await nodeinfo({ body: "verbose", query: {} })).memory.rss > 0);
});

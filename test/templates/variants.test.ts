import { describe, expect, test } from "@jest/globals";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { missingPrograms } from "./support/programs.ts";
import { startWritten } from "./support/written-function.ts";

const testPython = testNeeding(unlessRequired(missingPrograms("python3")));

describe("the node templates of each age give a handler what theirs gave it", () => {
  const handler = `module.exports = async (event) => ({ body: typeof event.body, query: event.query });`;

  test.each([
    ["node18", "object", { a: { b: "1" }, c: "2" }],
    ["node20", "object", { a: { b: "1" }, c: "2" }],
    ["node22", "undefined", { "a[b]": "1", c: "2" }],
  ])("%s", async (template, body, query) => {
    await using fn = await startWritten(template, { "handler.js": handler });
    expect(await (await fetch(`${fn.url}/?a[b]=1&c=2`)).json()).toEqual({ body, query });
  });

  test("a query that nests too deeply is left out, and the call goes on", async () => {
    await using fn = await startWritten("node20", { "handler.js": handler });
    expect(await (await fetch(`${fn.url}/?a${"[b]".repeat(40)}=1`)).json()).toEqual({ body: "object", query: {} });
  });
});

testPython("python3-http serves the contract of its name", async () => {
  const files = {
    "handler.py": `def handle(event, context):
    if event.method == "GET":
        return {"statusCode": 404, "body": "nothing at " + event.path, "headers": {"X-Seen": event.query.get("q")}}
    return {"body": {"length": len(event.body), "type": event.headers.get("content-type")}}
`,
  };
  await using fn = await startWritten("python3-http", files);
  const missing = await fetch(`${fn.url}/there?q=1`);
  expect([missing.status, missing.headers.get("x-seen"), await missing.text()]).toEqual([
    404,
    "1",
    "nothing at /there",
  ]);
  const posted = await fetch(fn.url, { method: "POST", body: "four", headers: { "content-type": "text/x" } });
  expect(await posted.json()).toEqual({ length: 4, type: "text/x" });
});

test("bash-streaming sends what a script prints as it comes", async () => {
  const files = { "handler.sh": 'echo first\nread -r line\necho "$line"\n' };
  await using fn = await startWritten("bash-streaming", files);
  let sendRest: (() => void) | undefined;
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from("sec"));
      sendRest = () => {
        controller.enqueue(Buffer.from("ond\n"));
        controller.close();
      };
    },
  });
  const answer = await fetch(fn.url, { method: "POST", body, duplex: "half" } as RequestInit);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("first\n");
  sendRest?.();
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("second\n");
});

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { layOut } from "./support/build-context.ts";
import { type FunctionProcess, startFunction } from "./support/function-process.ts";

describe("a script", () => {
  let fn: FunctionProcess;
  beforeAll(async () => {
    fn = await startFunction("bash", { handler: "bash", secrets: { one: "s3cret" } });
  });
  afterAll(() => fn?.remove());

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["text", Buffer.from("grüße\n")],
    ["bytes", Buffer.from([0, 255, 10, 13])],
    ["a large body", Buffer.alloc(2 * 1024 * 1024, "x")],
  ])("reads %s on stdin and answers with its stdout", async (_rule, body) => {
    const answer = await fetch(fn.url, { method: "POST", body });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/plain; charset=utf-8"]);
    expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true);
  });

  test("knows method, query and headers by its environment", async () => {
    const answer = await fetch(`${fn.url}/about?a=1`, { method: "PUT", headers: { "x-probe": "yes" } });
    expect(await answer.text()).toBe("PUT a=1 yes");
  });

  test("reads its secrets", async () => {
    expect(await (await fetch(`${fn.url}/secret`)).text()).toBe("s3cret");
  });

  test("fails with its exit code, and its stderr is the log", async () => {
    expect((await fetch(`${fn.url}/fail`)).status).toBe(500);
    await eventually("stderr is in the log", () => fn.log().includes("deliberate"));
  });

  test("serves callers side by side", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (await fetch(fn.url, { method: "POST", body: `${i}` })).text()),
    );
    expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
  });
});

test("fprocess names any other program", async () => {
  const fn = await startFunction("bash", { env: { fprocess: "tr a-z A-Z", content_type: "text/x-loud" } });
  try {
    const answer = await fetch(fn.url, { method: "POST", body: "loud" });
    expect([await answer.text(), answer.headers.get("content-type")]).toEqual(["LOUD", "text/x-loud"]);
  } finally {
    await fn.remove();
  }
});

test("a function's own install.sh runs when it is built", async () => {
  const handler = await layOut("bash");
  try {
    const dir = join(handler.dir, "mine");
    await mkdir(dir);
    await writeFile(
      join(dir, "install.sh"),
      "printf '#!/bin/sh\\necho made by install.sh\\n' > program\nchmod +x program\n",
    );
    await chmod(join(dir, "install.sh"), 0o600);
    const fn = await startFunction("bash", { handler: dir, env: { fprocess: "./function/program" } });
    try {
      expect(await (await fetch(fn.url)).text()).toBe("made by install.sh\n");
    } finally {
      await fn.remove();
    }
  } finally {
    await handler.remove();
  }
});

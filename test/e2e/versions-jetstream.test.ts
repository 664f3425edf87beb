import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { decodeCallReport } from "../../contract/calls.ts";
import { AsyncStack } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats } from "../support/nats.ts";

/** Stored calls on JetStream, made by a worker of its own, keep the version that they were accepted for. */
const PATIENCE_MS = 60_000;
const HANDLER = `
  module.exports = async (event, context) => {
    const status = event.path.startsWith("/fail") ? 500 : 200;
    return context.status(status).headers({ "x-level": process.env.LEVEL }).succeed(process.env.LEVEL);
  };`;

describeWithNats("versions on JetStream", () => {
  let stack: AsyncStack;

  beforeAll(async () => {
    stack = await AsyncStack.start({
      queue: "jetstream",
      functions: { f: { handler: HANDLER, annotations: { "com.faaslane.rollout": "manual" }, env: { LEVEL: "one" } } },
      env: { max_retry_attempts: "3", initial_retry_wait: "10ms" },
    });
  }, 120_000);

  afterAll(async () => {
    const left = await stack?.remove();
    expect(left).toEqual([]);
  }, 60_000);

  async function control(method: string, path: string, body?: object): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(stack.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const text = await answer.text();
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  async function callLater(path: string) {
    const accepted = await fetch(`${stack.url}/async-function/${path}`, { method: "POST" });
    expect(accepted.status).toBe(202);
    const url = `${stack.url}${accepted.headers.get("location")}`;
    return {
      version: accepted.headers.get("x-function-version"),
      async end() {
        const report = decodeCallReport(await (await fetch(`${url}?wait=30s`)).json());
        const result = await fetch(`${url}/result`);
        return { report, level: result.headers.get("x-level"), downgraded: result.headers.get("x-version-downgraded") };
      },
    };
  }

  test("a stored call is tried on its version, and on the one that serves when that is gone", async () => {
    const { image, annotations, envVars } = (await control("GET", "/system/function/f")) as Record<string, object>;
    const next = { service: "f", image, annotations, envVars: { ...envVars, LEVEL: "two" } };
    await control("PUT", "/system/functions", next);
    const says = async (path: string) => await (await fetch(`${stack.url}/function/${path}`)).text();
    await eventually("the new version answers", async () => (await says("f@v2")) === "two", PATIENCE_MS, 100);
    expect(await says("f")).toBe("one");

    const pinned = await callLater("f@v2/fail");
    expect(pinned.version).toBe("v2");
    expect(await pinned.end()).toMatchObject({ level: "two", report: { version: "v2", status: 500 } });
    const plain = await callLater("f");
    expect([plain.version, (await plain.end()).level]).toEqual([null, "one"]);

    // The document is the provider's own: a version that calls want goes only with its function.
    const delayed = await fetch(`${stack.url}/async-function/f@v2`, { method: "POST", headers: { "x-delay": "3s" } });
    expect(delayed.status).toBe(202);
    const kept = control("DELETE", "/system/function/f/versions/v2");
    await expect(kept).rejects.toThrow("409");
    await control("DELETE", "/system/functions", { functionName: "f" });
    await control("POST", "/system/functions", { ...next, envVars: { ...envVars, LEVEL: "three" } });
    await eventually("it answers again", async () => (await says("f")) === "three", PATIENCE_MS, 100);
    const url = `${stack.url}${delayed.headers.get("location")}`;
    await eventually(
      "the delayed call has ended",
      async () => decodeCallReport(await (await fetch(url)).json()).status === 200,
      PATIENCE_MS,
      100,
    );
    const result = await fetch(`${url}/result`);
    expect([result.headers.get("x-level"), result.headers.get("x-version-downgraded")]).toEqual(["three", "v2"]);
  }, 180_000);
});

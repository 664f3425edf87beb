import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { AsyncStack } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats } from "../support/nats.ts";
import { temporaryFolder } from "../support/platform.ts";
import type { ServerProcess } from "../support/server-process.ts";

/** Writes down which event it got, in a file that outlives everybody. */
const HANDLER = `
const { appendFileSync } = require("node:fs");
module.exports = async (event, context) => {
  appendFileSync(process.env.record, event.headers["ce-type"] + " " + event.headers["ce-id"] + "\\n");
  return context.status(200).succeed("");
};`;

describeWithNats("events on NATS, with workers of their own", () => {
  let stack: AsyncStack;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let record: string;
  const workers: ServerProcess[] = [];
  const MAIN = "gateway/process/event-worker/main.ts";

  beforeAll(async () => {
    folder = await temporaryFolder();
    record = join(folder.path, "record");
    stack = await AsyncStack.start({
      queue: "jetstream",
      workers: 0,
      functions: {
        orders: { handler: HANDLER, annotations: { topic: "order" }, env: { record } },
      },
    });
    for (let i = 0; i < 2; i++) workers.push(await stack.startBeside(MAIN, { gateway_url: stack.url }));
  }, 120_000);

  afterAll(async () => {
    for (const worker of workers) await worker.stop();
    await stack?.remove();
    await folder?.remove();
  });

  const send = async (id: string) =>
    await fetch(`${stack.url}/broker/default`, {
      method: "POST",
      headers: { "ce-specversion": "1.0", "ce-id": id, "ce-source": "/test", "ce-type": "order" },
      body: "{}",
    });
  const seen = async (type: string) => {
    const text = await readFile(record, "utf8").catch(() => "");
    return text.split("\n").flatMap((line) => (line.startsWith(`${type} `) ? [line.slice(type.length + 1)] : []));
  };

  test("an event that a gateway has taken is delivered by a worker", async () => {
    expect((await send("first")).status).toBe(202);
    await eventually("the function has it", async () => (await seen("order")).includes("first"), 60_000);
    expect(await seen("order")).toEqual(["first"]);
  }, 90_000);

  test("the gateway answers for what its workers have done", async () => {
    const answer = await fetch(`${stack.url}/system/events?type=order`);
    expect(answer.status).toBe(200);
    await eventually(
      "it is told as delivered",
      async () => {
        const text = await (await fetch(`${stack.url}/system/events?type=order`)).text();
        return text.includes("delivered");
      },
      60_000,
    );
  }, 90_000);

  test("a clock ticks on one worker, and on another one when that is gone", async () => {
    const spec = JSON.stringify({ type: "cron", schedule: "* * * * * *" });
    const declared = await fetch(`${stack.url}/system/sources/clock`, {
      method: "PUT",
      body: spec,
      headers: { "content-type": "application/json" },
    });
    expect([declared.status, await declared.text()]).toEqual([201, expect.any(String)]);
    const trigger = JSON.stringify({
      filters: [{ exact: { type: "com.faaslane.cron.tick" } }],
      subscriber: { function: "orders" },
    });
    const made = await fetch(`${stack.url}/system/triggers/ticks`, {
      method: "PUT",
      body: trigger,
      headers: { "content-type": "application/json" },
    });
    expect([made.status, await made.text()]).toEqual([201, expect.any(String)]);
    const ticks = async () => await seen("com.faaslane.cron.tick");
    await eventually("it has ticked", async () => (await ticks()).length >= 3, 60_000);
    const scrapes = await Promise.all(workers.map(async ({ url }) => await (await fetch(`${url}/metrics`)).text()));
    const leader = scrapes.findIndex((text) => /^faaslane_events_source_up\{.*\} 1$/m.test(text));
    expect(leader).toBeGreaterThanOrEqual(0);
    await workers[leader]?.kill();
    const before = (await ticks()).length;
    await eventually("another one goes on", async () => (await ticks()).length >= before + 3, 90_000);
    const all = await ticks();
    expect(new Set(all).size).toBe(all.length);
    workers[leader] = await stack.startBeside(MAIN, { gateway_url: stack.url });
  }, 240_000);

  test("a worker that is killed leaves what it had to the other", async () => {
    for (let i = 0; i < 100; i++) expect((await send(`e${i}`)).status).toBe(202);
    await workers[0]?.kill();
    for (let i = 100; i < 200; i++) expect((await send(`e${i}`)).status).toBe(202);
    await eventually(
      "all are delivered",
      async () => new Set((await seen("order")).filter((id) => id.startsWith("e"))).size === 200,
      90_000,
    );
  }, 150_000);
});

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { openSourceStack, type SourceStack } from "../support/events/source-stack.ts";
import { eventually } from "../support/eventually.ts";

let stack: SourceStack;
beforeAll(async () => {
  stack = await openSourceStack();
});
afterAll(() => stack.close());

const SOURCES = "/system/sources";
const cron = { type: "cron", schedule: "@every 1s" };

test("a source is declared, runs, is suspended, resumed, changed and removed", async () => {
  const declared = await stack.declare("tick", { ...cron, attributes: { tenant: "t1" }, broker: null });
  expect(declared).toMatchObject({
    status: 201,
    body: {
      name: "tick",
      namespace: "openfaas-fn",
      spec: { ...cron, broker: "default", attributes: { tenant: "t1" } },
      status: { state: "connected" },
    },
  });
  const status = async () => (await stack.request("GET", `${SOURCES}/tick`)).body.status;
  await eventually("it ticks", async () => (await status()).events > 0, 20_000);
  const [first] = await stack.events();
  expect(first?.event.attributes).toMatchObject({ type: "com.faaslane.cron.tick", tenant: "t1" });
  const suspended = await stack.request("POST", `${SOURCES}/tick/suspend`);
  expect(suspended.body).toMatchObject({ spec: { suspend: true }, status: { state: "suspended" } });
  const resumed = await stack.request("POST", `${SOURCES}/tick/resume`);
  expect(resumed.body.spec.suspend).toBeUndefined();
  expect(resumed.body.status.state).toBe("connected");
  expect((await stack.declare("tick", { ...cron, schedule: "0 2 * * *" })).status).toBe(200);
  expect((await stack.request("GET", SOURCES)).body.map((source: { name: string }) => source.name)).toEqual(["tick"]);
  expect((await stack.request("GET", `${SOURCES}?namespace=other`)).body).toEqual([]);
  expect((await stack.request("DELETE", `${SOURCES}/tick`)).status).toBe(204);
  await eventually("it is gone", async () => stack.runner.all().length === 0);
  expect(await stack.resources.list("cursor")).toEqual([]);
});

test("what belongs to a source of another type is forgotten when the type changes", async () => {
  await stack.declare("turn", { ...cron, schedule: "0 2 * * *" });
  await eventually("noted", async () => (await stack.resources.list("cursor")).length === 1);
  const webhook = { type: "webhook", profile: "gitlab", secret: { secret: "none" } };
  expect((await stack.declare("turn", webhook)).body.status.state).toBe("connecting");
  expect(await stack.resources.list("cursor")).toEqual([]);
  await stack.request("DELETE", `${SOURCES}/turn`);
});

test.each([
  ["no source", "GET", `${SOURCES}/nobody`, undefined, 404, "unknown_source"],
  ["nothing to remove", "DELETE", `${SOURCES}/nobody`, undefined, 404, "unknown_source"],
  ["nothing to suspend", "POST", `${SOURCES}/nobody/suspend`, undefined, 404, "unknown_source"],
  ["another namespace", "PUT", `${SOURCES}/a?namespace=../x`, cron, 400, "invalid_request"],
  ["no such method", "PATCH", `${SOURCES}/a`, cron, 405, undefined],
] as const)("%s", async (_what, method, path, body, status, code) => {
  const answer = await stack.request(method, path, body);
  expect([answer.status, answer.body.code]).toEqual([status, code]);
});

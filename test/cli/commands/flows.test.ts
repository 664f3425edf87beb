import { expect, test } from "@jest/globals";
import { json, type Reply, type Seen } from "../support/fake-gateway.ts";
import { openScene } from "../support/scene.ts";

const summary = (changes: object = {}) => ({
  id: "order.0123456789abcdef0123",
  flow: "order",
  namespace: "openfaas-fn",
  state: "running",
  startedAt: "2030-01-31T12:00:00.000Z",
  deadlineAt: "2030-02-01T12:00:00.000Z",
  durationMs: 90,
  startedBy: { source: "/s", id: "1", type: "t" },
  ...changes,
});
const report = (changes: object = {}) => ({
  ...summary({ state: "failed", error: { errorType: "Boom", cause: "no", step: "price" }, ...changes }),
  round: 2,
  versions: { check: "v1" },
  steps: [
    { name: "check", kind: "call", state: "done", tries: 1, attempts: [{ at: "x", durationMs: 12, status: 200 }] },
    {
      name: "price",
      kind: "map",
      state: "failed",
      tries: 1,
      attempts: [],
      parts: { total: 3, open: 0, done: 2, failed: 1, empty: 0 },
    },
  ],
  result: { ref: "r", bytes: 2, text: "{}", truncated: false },
});

test("a run is started with an event, waited for and shown", async () => {
  const answers: Reply[] = [{ ...json(summary()), status: 202 }, json({ ...report(), ...summary() }), json(report())];
  await using scene = await openScene(() => answers.shift(), {});
  const { code, stdout } = await scene.run("flows run order --subject 7 --data {} --wait -n dev");
  expect(code).toBe(1);
  const [seen] = scene.gateway.seen as [Seen];
  expect([seen.method, seen.path, seen.headers["ce-type"], seen.headers["ce-subject"]]).toEqual([
    ...["POST", "/system/flows/order/runs?namespace=dev", "com.faaslane.flow.run", "7"],
  ]);
  expect(scene.asked().slice(1)).toEqual(
    Array(2).fill("GET /system/flow-runs/order.0123456789abcdef0123?namespace=openfaas-fn"),
  );
  expect(stdout).toBe(
    [
      "Run: order.0123456789abcdef0123",
      "Run:         order.0123456789abcdef0123",
      "Flow:        order.openfaas-fn",
      "State:       failed",
      "Started:     2030-01-31T12:00:00.000Z",
      "Started by:  t 1 from /s",
      "Took:        90ms",
      "Error:       price: Boom: no",
      "Resumed:     2×",
      "",
      "Steps:",
      "  STEP   KIND  STATE         TRIES  STATUS  TOOK  VERSION  NEXT  ERROR",
      "  check  call  done          1      200     12ms  v1       -",
      "  price  map   failed (2/3)  1      -       -     -        -",
      "",
      "Result:",
      "{}",
      "",
    ].join("\n"),
  );
});

test("runs are listed, cancelled and resumed", async () => {
  const error = { errorType: "Boom", cause: "no", step: "price" };
  await using scene = await openScene(
    ({ method }) => (method === "GET" ? json({ items: [summary({ state: "failed", error })] }) : { status: 202 }),
    {},
  );
  expect((await scene.run("flows runs order --state failed")).stdout).toBe(
    [
      "RUN                         FLOW   STATE   STARTED                   TOOK  STEP   ERROR",
      "order.0123456789abcdef0123  order  failed  2030-01-31T12:00:00.000Z  90ms  price  Boom: no",
      "",
    ].join("\n"),
  );
  expect((await scene.run("flows cancel order.0123456789abcdef0123")).stdout).toBe(
    "Cancelled: order.0123456789abcdef0123\n",
  );
  expect((await scene.run("flows resume order.0123456789abcdef0123")).stdout).toBe(
    "Resumed: order.0123456789abcdef0123\n",
  );
  expect(scene.asked()).toEqual([
    "GET /system/flow-runs?flow=order&state=failed&limit=50",
    "POST /system/flow-runs/order.0123456789abcdef0123/cancel",
    "POST /system/flow-runs/order.0123456789abcdef0123/resume",
  ]);
});

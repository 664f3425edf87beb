import { afterEach, describe, expect, test } from "@jest/globals";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import { eventually } from "../support/eventually.ts";
import type { FunctionHandler } from "../support/stock-function.ts";
import { AUTHORIZATION, StockGateway } from "../support/stock-gateway.ts";

/** In front of providers that have no endpoints stream, as those of OpenFaaS. */

let opened: StockGateway | undefined;

async function open(...options: Parameters<typeof StockGateway.open>): Promise<StockGateway> {
  opened = await StockGateway.open(...options);
  return opened;
}

afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

const echo: FunctionHandler = (req, res) => res.end(JSON.stringify([req.method, req.url, req.rawHeaders]));

describe.each(["faas-netes", "faasd"] as const)("in front of %s", (kind) => {
  test("calls go through it as they came, with what is the function's own and no login of the gateway's", async () => {
    const gateway = await open({}, { kind });
    const { provider } = gateway;
    provider.namespaces = ["openfaas-fn", "staging"];
    provider.deploy({ name: "f" }, 2, echo);
    provider.deploy({ name: "f", namespace: "staging" }, 1, (_req, res) => res.end("staging"));
    await gateway.whenAnswered("f");
    await gateway.whenAnswered("f.staging");
    expect(await (await gateway.call("f.staging/x")).text()).toBe("staging");

    const headers = { authorization: "Bearer the-caller's", "x-call-id": "mine" };
    const answer = await gateway.call("f/a%2Fb/?c=%20d", { method: "PUT", body: "x", headers });
    const [method, url, raw] = (await answer.json()) as [string, string, string[]];
    expect([answer.status, method, url]).toEqual([200, "PUT", "/a%2Fb/?c=%20d"]);
    expect(answer.headers.get("x-call-id")).toBe("mine");
    expect(raw.filter((_, i) => i % 2 === 1)).toContain("Bearer the-caller's");
    const [, , plain] = (await (await gateway.call("f.openfaas-fn")).json()) as [string, string, string[]];
    expect(plain.map((text) => text.toLowerCase())).not.toContain("authorization");
    expect(provider.requests.every(({ authorization }) => authorization === AUTHORIZATION)).toBe(true);
  });

  test("a hundred calls at zero are one order, and all are answered", async () => {
    const gateway = await open({}, { kind });
    const { provider } = gateway;
    provider.startMs = 300;
    provider.deploy({ name: "f", labels: { "com.openfaas.scale.max": "1" } }, 0);
    await gateway.whenKnown("f", 0);
    const answers = await Promise.all(Array.from({ length: 100 }, () => gateway.call("f")));
    expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(200));
    expect(provider.orders()).toEqual([1]);
    // Nor is there a question for each call.
    const asked = provider.requests.filter(({ url }) => url.startsWith("/system/function/"));
    expect(asked.length).toBeLessThan(50);
  });
});

test("what is no call is the provider's answer", async () => {
  const gateway = await open();
  const post = (path: string, body: object) => gateway.control(path, { method: "POST", body: JSON.stringify(body) });
  expect((await post("/system/functions", { service: "f", image: "i" })).status).toBe(202);
  await gateway.whenAnswered("f");
  const names = async (path: string) => (await (await gateway.control(path)).json()) as unknown;
  expect(await names("/system/functions")).toMatchObject([{ name: "f", replicas: 1 }]);
  expect(await names("/system/function/f")).toMatchObject({ name: "f", availableReplicas: 1 });
  expect(await names("/system/namespaces")).toEqual(["openfaas-fn"]);
  expect((await post("/system/secrets", { name: "s", value: "v" })).status).toBe(202);
  expect(await names("/system/secrets")).toEqual([{ name: "s", namespace: "openfaas-fn" }]);
  expect(await (await gateway.control("/system/logs?name=f")).text()).toContain("hello");
  expect((await post("/system/scale-function/f", { serviceName: "f", replicas: 3 })).status).toBe(202);
  await gateway.whenKnown("f", 3);
  const body = JSON.stringify({ functionName: "f" });
  expect((await gateway.control("/system/functions?namespace=openfaas-fn", { method: "DELETE", body })).status).toBe(
    202,
  );
  await gateway.whenAnswered("f", 404);
});

test("a call that finds no replica any more waits for the next one, unless the function is gone", async () => {
  const gateway = await open();
  const { provider } = gateway;
  const fn = provider.deploy({ name: "f" });
  await gateway.whenAnswered("f");
  // Nobody tells the gateway.
  fn.scale(0);
  expect(await (await gateway.call("f", { method: "POST", body: "x" })).text()).toBe("POST /");
  expect(provider.orders()).toEqual([1]);
  provider.remove("f");
  const gone = await gateway.call("f");
  expect([gone.status, gone.headers.get(ERROR_HEADER)]).toEqual([404, "unknown_function"]);
});

test("a function that somebody has scaled meanwhile is not scaled back for a call", async () => {
  const gateway = await open();
  const { provider } = gateway;
  provider.startMs = 200;
  const fn = provider.deploy({ name: "f" }, 0);
  await gateway.whenKnown("f", 0);
  // From here on the lists do not come, so that nothing is known of what happens.
  provider.fault = (req) => req.url?.startsWith("/system/functions") === true;
  fn.scale(4);
  expect((await gateway.call("f")).status).toBe(200);
  expect([provider.orders(), fn.wanted]).toEqual([[], 4]);
});

test("max_inflight holds for all replicas together, as far as the provider tells of it", async () => {
  const gateway = await open({}, { kind: "faasd" });
  const { provider } = gateway;
  const waiting: (() => void)[] = [];
  const fn = provider.deploy({ name: "f", envVars: { max_inflight: "2" } }, 1, (req, res) => {
    if (req.url === "/now") res.end("now");
    else waiting.push(() => res.end("late"));
  });
  await gateway.whenAnswered("f/now");
  const first = [gateway.call("f"), gateway.call("f")];
  await eventually("both are there", () => waiting.length === 2);
  const third = await gateway.call("f");
  expect([third.status, third.headers.get(ERROR_HEADER)]).toEqual([429, "concurrency_limit"]);
  expect(await third.text()).toBe("Concurrent request limit exceeded. Max concurrent requests: 2\n");
  fn.scale(40);
  await gateway.whenKnown("f", 40);
  // Which of them has room is for the provider to find, which does not look.
  await eventually("another one is let through", async () => (await gateway.call("f/now")).status === 200);
  for (const finish of waiting) finish();
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
});

test("asynchronous calls wake a function and are made through the provider", async () => {
  const gateway = await open();
  const bodies: string[] = [];
  gateway.provider.deploy({ name: "f" }, 0, async (req, res) => {
    let body = "";
    for await (const piece of req) body += String(piece);
    bodies.push(body);
    res.end("done");
  });
  await gateway.whenKnown("f", 0);
  const send = (body: string) => fetch(`${gateway.gateway.url}/async-function/f`, { method: "POST", body });
  expect((await Promise.all(["a", "b", "c"].map(send))).map(({ status }) => status)).toEqual([202, 202, 202]);
  await eventually("all are made", () => bodies.length === 3, 20_000);
  expect(bodies.toSorted()).toEqual(["a", "b", "c"]);
});

test("calls wait while the provider is away, and it may come back as the other kind", async () => {
  const gateway = await open();
  const { provider } = gateway;
  provider.deploy({ name: "f" });
  await gateway.whenAnswered("f");
  const answered = async () => [(await gateway.call("f")).status];

  await provider.down();
  const early = answered();
  await provider.up();
  expect(await early).toEqual([200]);

  await provider.replace(true);
  expect(await answered()).toEqual([200]);
  await eventually("it is followed by its stream", async () => {
    provider.fault = (req) => req.url?.startsWith("/system/function") === true; // neither lists nor one by one
    return (await gateway.call("f")).status === 200;
  });
  provider.fault = () => false;

  await provider.replace(false);
  provider.deploy({ name: "new" });
  expect(await answered()).toEqual([200]);
  await gateway.whenAnswered("new");
});

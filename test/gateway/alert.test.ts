import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { ScalingGateway } from "./scaling-gateway.ts";

let lab: ScalingGateway;

beforeEach(async () => {
  // Without the autoscaler, so that all orders come from alerts.
  lab = await ScalingGateway.open({ autoscaling: "false" });
});
afterEach(async () => await lab.close());

const alerts = (...list: readonly (readonly [status: string, functionName?: string])[]) =>
  JSON.stringify({
    receiver: "scale-up",
    status: "firing",
    alerts: list.map(([status, name]) => ({
      status,
      labels: { alertname: "APIHighInvocationRate", ...(name !== undefined && { function_name: name }) },
    })),
  });

const post = async (body: string) => await lab.control("/system/alert", { method: "POST", body });

/** Announces a function and waits until the gateway knows it. */
async function deploy(name: string, replicas: number, labels: Record<string, string> = {}): Promise<void> {
  lab.provider.put({ name, replicas, labels });
  await eventually(`${name} is known`, async () =>
    (await (await fetch(`${lab.gateway.metricsUrl}/metrics`)).text()).includes(`function_name="${name}.openfaas-fn"`),
  );
}

const scale = (settings: Record<string, string>) =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [`com.openfaas.scale.${name}`, value]));

describe("an alert", () => {
  test.each<[rule: string, status: string, current: number, settings: Record<string, string>, to: number | undefined]>([
    ["that fires adds a fifth of the largest number", "firing", 1, {}, 5],
    ["that fires adds the factor's share, rounded up", "firing", 2, { max: "11", factor: "10" }, 4],
    ["that fires never passes the largest number", "firing", 18, {}, 20],
    ["that fires at the largest number orders nothing", "firing", 20, {}, undefined],
    ["that fires with factor 0 goes to the least number", "firing", 4, { factor: "0", min: "2" }, 2],
    ["that is resolved goes to the least number", "resolved", 7, { min: "3" }, 3],
    ["that is resolved at the least number orders nothing", "resolved", 1, {}, undefined],
    ["of an unknown status counts as resolved", "pending", 7, {}, 1],
    ["for a function with one possible number orders nothing", "firing", 4, { min: "4", max: "4" }, undefined],
  ])("%s", async (_rule, status, current, settings, to) => {
    await deploy("f", current, scale(settings));
    const answer = await post(alerts([status, "f.openfaas-fn"]));
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    const order = { serviceName: "f", namespace: "openfaas-fn", replicas: to };
    expect(lab.orders()).toEqual(to === undefined ? [] : [order]);
  });

  test("may leave the namespace out", async () => {
    await deploy("f", 1);
    expect((await post(alerts(["firing", "f"]))).status).toBe(200);
    expect(lab.orders()).toEqual([{ serviceName: "f", namespace: "openfaas-fn", replicas: 5 }]);
  });

  test("without a function, or for one that is not there, is passed over; the others count", async () => {
    await deploy("f", 1);
    const answer = await post(
      alerts(["firing"], ["firing", "gone.openfaas-fn"], ["firing", "f.other"], ["firing", "f"]),
    );
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    expect(lab.orders()).toHaveLength(1);
  });

  test.each(["capacity", "rps"])("for a function of type %s is ignored", async (type) => {
    await deploy("f", 1, scale({ type }));
    expect((await post(alerts(["firing", "f.openfaas-fn"]))).status).toBe(200);
    expect(lab.orders()).toEqual([]);
  });

  test("may be none at all", async () => {
    for (const body of ["{}", '{"alerts":[]}']) {
      const answer = await post(body);
      expect([answer.status, await answer.text()]).toEqual([200, ""]);
    }
  });

  test("needs the password", async () => {
    await deploy("f", 1);
    const answer = await fetch(`${lab.gateway.url}/system/alert`, { method: "POST", body: alerts(["firing", "f"]) });
    expect(answer.status).toBe(401);
    expect(lab.orders()).toEqual([]);
  });
});

test.each(["", "no JSON", "[1", '{"alerts":{}}', '{"alerts":[{"labels":{"function_name":1}}]}'])(
  "a body like %j is refused as text",
  async (body) => {
    const answer = await post(body);
    expect([answer.status, await answer.text()]).toEqual([
      400,
      expect.stringMatching(/^Unable to parse alert, bad format\.\n?$/),
    ]);
    expect(answer.headers.get("content-type")).toMatch(/^text\/plain/);
  },
);

test("a body that is too large is refused before it is read to its end", async () => {
  expect((await post(`{"x":"${"a".repeat(5 * 1024 ** 2)}"}`)).status).toBe(413);
});

test("a function that is removed in the same moment is passed over, as one that never was", async () => {
  await deploy("gone", 1);
  lab.provider.respond = (_request, res) =>
    res.writeHead(404, { "content-type": "text/plain" }).end("no such function");
  const answer = await post(alerts(["firing", "gone"]));
  expect([answer.status, await answer.text()]).toEqual([200, ""]);
  expect(lab.orders()).toHaveLength(1);
});

test("orders that fail are told line by line, and the others are given still", async () => {
  await deploy("a", 1);
  await deploy("b", 1);
  await deploy("c", 1);
  lab.provider.respond = (request, res) =>
    request.url.startsWith("/system/scale-function/b")
      ? res.writeHead(202).end()
      : res.writeHead(500, { "content-type": "text/plain" }).end("no room");
  const answer = await post(alerts(["firing", "a"], ["firing", "b"], ["firing", "c"]));
  expect(answer.status).toBe(500);
  expect(answer.headers.get("content-type")).toMatch(/^text\/plain/);
  expect(await answer.text()).toMatch(/^\[0\] .*no room.*\n\[1\] .*no room.*\n$/);
  expect(lab.orders()).toHaveLength(3);
});

test("the platform's own largest number counts where a function names none", async () => {
  await lab.close();
  lab = await ScalingGateway.open({ autoscaling: "false", default_max_replicas: "10" });
  await deploy("f", 1);
  await post(alerts(["firing", "f"], ["firing", "f"]));
  expect(lab.orders()).toEqual([3, 3].map((replicas) => ({ serviceName: "f", namespace: "openfaas-fn", replicas })));
});

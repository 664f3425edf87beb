import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { deployment, endpointsOf, inProcess, type LocalFixture, openFixture, until, untilReady } from "./support.ts";

const SOURCE = `export default (req, res) => res.end("hi");`;

let fixture: LocalFixture;
beforeEach(async () => {
  fixture = await openFixture();
  const env = { exec_timeout: "10s", write_timeout: "15s", max_inflight: "3" };
  await fixture.addImage("limited", inProcess(SOURCE, env));
  await fixture.addImage("free", inProcess(SOURCE));
});
afterEach(async () => {
  await fixture.close();
});

test("limits of the template count where the deployment sets none, and those that contradict it are warned of", async () => {
  const { functions } = fixture.backend;
  await functions.create(deployment("fn", "limited"));
  await untilReady(fixture.backend, "fn");
  expect(await endpointsOf(fixture.backend, "fn")).toMatchObject({
    timeouts: { execMs: 10_000, writeMs: 15_000 },
    maxInflight: 3,
  });
  const longer = deployment("fn", "limited", { envVars: { exec_timeout: "10m", max_inflight: "0" } });
  expect(await functions.warningsFor?.(longer)).toEqual([
    "exec_timeout: 10m does not hold, write_timeout ends the answer after 15s",
  ]);
  await functions.update(longer);
  const now = await until("the new limits are told", async () => {
    const seen = await endpointsOf(fixture.backend, "fn");
    return seen.timeouts?.execMs === 600_000 && seen.timeouts.writeMs !== undefined && seen;
  });
  expect(now.timeouts).toEqual({ execMs: 600_000, writeMs: 15_000 });
  expect(now.maxInflight).toBeUndefined();
});

test("they are told of a function that sleeps, and after a restart; another image brings others", async () => {
  await fixture.backend.functions.create(deployment("fn", "limited"));
  await fixture.backend.functions.scale({ name: "fn", namespace: "openfaas-fn" }, 0);
  await fixture.reopen();
  const limits = { execMs: 10_000, writeMs: 15_000 };
  const toldBy = async () => (await endpointsOf(fixture.backend, "fn")).timeouts;
  expect(await until("they are read", toldBy)).toEqual(limits);
  await fixture.backend.functions.update(deployment("fn", "free"));
  await until("there are none", async () => (await toldBy()) === undefined);
});

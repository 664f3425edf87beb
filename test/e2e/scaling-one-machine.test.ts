import { availableParallelism } from "node:os";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { SCALE_DEFAULTS } from "../../contract/scale-policy.ts";
import { decodeScalingReport } from "../../contract/scaling.ts";
import { Callers } from "../support/callers.ts";
import { eventually } from "../support/eventually.ts";
import { ScalingPlatform } from "../support/scaling-platform.ts";

/** On one machine replicas share its processors. */
let on: ScalingPlatform;
const CORES = Math.min(availableParallelism(), SCALE_DEFAULTS.max);
const PARALLEL = 2 * SCALE_DEFAULTS.max;
/** A load that asks for as many replicas as there may be. */
const ONE_EACH = {
  "com.openfaas.scale.type": "capacity",
  "com.openfaas.scale.target": "1",
  "com.faaslane.scale.window": "6s",
};

beforeAll(async () => {
  on = await ScalingPlatform.start();
}, 60_000);

afterAll(() => on?.stop());

/** The steps of all decisions so far. */
async function steps(name: string) {
  const report = decodeScalingReport(await (await on.platform.control(`/system/scaling/${name}`)).json());
  return [...report.decisions, ...(report.last ? [report.last] : [])].flatMap((decision) => decision.steps);
}

test("without a max, load asks for no more replicas than there are cores; somebody may", async () => {
  await on.deploy("cores", { labels: ONE_EACH });
  await on.whenScaled("cores", 1);
  const callers = new Callers(on.url("cores", "?ms=20"));
  callers.set(PARALLEL);
  await on.whenScaled("cores", CORES);
  await on.whenSeen("cores", 4);
  expect((await on.replicas("cores")).wanted).toBe(CORES);
  expect((await steps("cores")).find(({ reason }) => reason === "cores")?.text).toMatch(
    /^the machine has \d+ cores?; com.openfaas.scale.max allows more$/,
  );
  await on.scale("cores", CORES + 1);
  await on.whenScaled("cores", CORES + 1);
  await callers.stop();
  expect(callers.failures).toEqual([]);
  await on.remove("cores");
}, 90_000);

test("replicas that may not help are taken back for a trial, without a failed call", async () => {
  const labels = { ...ONE_EACH, "com.openfaas.scale.max": "2", "com.faaslane.scale.check-gain": "true" };
  await on.deploy("gain", { labels });
  await on.whenScaled("gain", 1);
  const callers = new Callers(on.url("gain", "?ms=20"));
  callers.set(PARALLEL);
  await on.whenScaled("gain", 2);
  const trial = /^2 get \d+ calls\/s through; it is tried whether 1 would$/;
  await eventually(
    "one is taken back",
    async () => (await steps("gain")).some(({ reason, text }) => reason === "gain" && trial.test(text)),
    60_000,
    200,
  );
  await on.whenScaled("gain", 1);
  await callers.stop();
  expect(callers.failures).toEqual([]);
  expect(callers.done).toBeGreaterThan(100);
  await on.remove("gain");
}, 120_000);

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { expectSeries, GATEWAY_SERIES, readSamples } from "../compat/series.ts";
import { eventually } from "../support/eventually.ts";
import { describeNeeding } from "../support/needing.ts";
import { settings } from "./settings.ts";
import { ECHO, noMetrics, openTarget, type Target } from "./target.ts";

const FULL_NAME = `measured.${settings.namespace}`;
const SLOW_MS = 90_000;

describeNeeding(noMetrics)("metrics under OpenFaaS's names", () => {
  let target: Target;
  let text: string;

  const scrape = async () => await (await fetch(`${target.metricsUrl}/metrics`)).text();
  const mine = (name: string) =>
    readSamples(text).filter((sample) => sample.name === name && sample.labels.function_name === FULL_NAME);

  beforeAll(async () => {
    target = await openTarget({ functions: ["measured"] });
    await target.deploy({ service: "measured", ...ECHO });
    for (const path of ["measured", FULL_NAME]) {
      await (await target.call(path, { method: "POST", body: "x" })).arrayBuffer();
    }
    text = await eventually(
      "both calls are counted, and the replicas are known",
      async () => {
        text = await scrape();
        const ended = mine("gateway_function_invocation_total").reduce((sum, { value }) => sum + value, 0);
        return ended >= 2 && mine("gateway_service_count").length > 0 && text;
      },
      60_000,
      200,
    );
  }, 180_000);

  afterAll(() => target?.close());

  for (const series of GATEWAY_SERIES) {
    test(`${series[0]}: its type, its labels and no others`, () => {
      expectSeries(text, [series]);
      expect(mine(series[1] === "histogram" ? `${series[0]}_count` : series[0])).not.toEqual([]);
    });
  }

  test("one function has one name, whichever way it is called", () => {
    const ended = mine("gateway_function_invocation_total");
    expect(ended).toEqual([expect.objectContaining({ labels: { code: "200", function_name: FULL_NAME }, value: 2 })]);
  });

  test("the replicas that are wanted", () => {
    expect(mine("gateway_service_count")).toEqual([expect.objectContaining({ value: 1 })]);
  });

  test(
    "a function that is gone has no replicas any more",
    async () => {
      const body = JSON.stringify({ functionName: "measured" });
      await (await target.control("/system/functions", { method: "DELETE", body })).arrayBuffer();
      await eventually(
        "it is not told any more",
        async () => {
          text = await scrape();
          return mine("gateway_service_count").length === 0;
        },
        60_000,
        200,
      );
    },
    SLOW_MS,
  );

  test("the process tells of itself", () => {
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes"]) expect(text).toContain(name);
  });

  test("its health is OK, and is only read", async () => {
    const answer = await fetch(`${target.metricsUrl}/healthz`);
    expect([answer.status, await answer.text()]).toEqual([200, "OK"]);
    const posted = await fetch(`${target.metricsUrl}/healthz`, { method: "POST" });
    expect(posted.status).toBe(405);
  });
});

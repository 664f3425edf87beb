import { expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { startWatchdog } from "../watchdog/support/start-watchdog.ts";
import { expectSeries, readSamples, WATCHDOG_SERIES } from "./series.ts";

test.each([
  ["classic", { mode: "classic", fprocess: "cat" }],
  ["http", { mode: "http", fprocess: "reflect", upstream_url: "http://127.0.0.1:0" }],
])("a watchdog counts calls under the names of OpenFaaS's: %s", async (_mode, env) => {
  await using watchdog = await startWatchdog(env);
  await (await fetch(watchdog.url, { method: "POST", body: "x" })).text();
  const text = await eventually("the call is counted", async () => {
    const said = await watchdog.metrics();
    return said.includes("http_requests_total{") && said;
  });
  expectSeries(text, WATCHDOG_SERIES);
  expect(readSamples(text)).toContainEqual({
    name: "http_requests_total",
    labels: { code: "200", method: "post" },
    value: 1,
  });
});

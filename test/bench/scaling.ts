/**
 * `npm run bench:scaling`: what a tick of the autoscaler costs, and how fast replicas follow a step of the load.
 * With `-- --plot FILE.svg` the step is drawn.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { renderPlot } from "../../cli/scaling/plot.ts";
import { runStep, STEP } from "./scaling-step.ts";
import { measureTicks } from "./scaling-tick.ts";

const { values } = parseArgs({ options: { plot: { type: "string" } } });
const FUNCTIONS = { functions: 1000, active: 200, seconds: 600 };

const { p50, p99, max, orders } = await measureTicks(FUNCTIONS);
const ms = (value: number) => `${value.toFixed(1)} ms`;
console.log(
  `tick of ${FUNCTIONS.functions} functions, ${FUNCTIONS.active} of them called: ${ms(p50)} of CPU (median), ${ms(p99)} (p99), ${ms(max)} at most; ${orders} orders in ${FUNCTIONS.seconds} s`,
);

const { samples, fullScaleMs, calls, failures } = await runStep();
const begun = samples[0]?.t ?? 0;
let before = "";
console.log("  time  in flight  wanted  ready");
for (const { t, load, wanted, ready } of samples) {
  const now = `${String(load).padStart(11)}${String(wanted).padStart(8)}${String(ready).padStart(7)}`;
  if (now !== before) console.log(`${((t - begun) / 1000).toFixed(1).padStart(5)}s${now}`);
  before = now;
}
console.log(
  `step from ${STEP.low} to ${STEP.high} calls in flight: ${STEP.full} replicas ready after ${(fullScaleMs / 1000).toFixed(1)} s; ${calls} calls, ${failures.length} failed`,
);
for (const failure of failures) console.log(`  ${failure}`);

if (values.plot !== undefined) {
  const title = `Step from ${STEP.low} to ${STEP.high} calls in flight, ${STEP.target} for each replica, window ${STEP.windowS} s`;
  await writeFile(values.plot, renderPlot({ title, loadName: "Load (calls in flight)", points: samples }));
}

import { cpus } from "node:os";
import { pathToFileURL } from "node:url";
import { FlowBench } from "../support/events/flow-bench.ts";
import { eventually } from "../support/eventually.ts";

/** What a run of a flow costs beside its functions, which answer at once here. */
export interface FlowFigures {
  /** Milliseconds between the calls of two steps that follow each other. */
  readonly stepP50Ms: number;
  readonly stepP99Ms: number;
  /** Steps a second of all runs, with so many of them at a time. */
  readonly stepsPerSecond: number;
  /** For each item of a map. */
  readonly itemMs: number;
}

const STEPS = 10;
const ALONE = 30;
const TOGETHER = 100;
const ITEMS = 500;

/** Measures it on a store of its own. */
export async function measureFlows(): Promise<FlowFigures> {
  const begun = new Map<string, number[]>();
  const bench = await FlowBench.open({
    functions: {
      step: ({ headers, text }) => {
        const run = headers["x-flow-run"] as string;
        begun.set(run, [...(begun.get(run) ?? []), performance.now()]);
        return text;
      },
      item: ({ text }) => text,
    },
  });
  try {
    await bench.declare("chain", {
      broker: "chain",
      steps: Array.from({ length: STEPS }, () => ({ function: "step" })),
    });
    await bench.declare("each", {
      broker: "each",
      steps: [{ map: { items: "data", concurrency: 20, subscriber: { function: "item" } } }],
    });
    const ended = async (flow: string, count: number) => {
      const over = async () => {
        const runs = await bench.all(flow);
        return runs.length >= count && runs.every(({ state }) => state !== "running");
      };
      await eventually(`${count} runs of ${flow} have ended`, over, 300_000, 20);
    };
    for (let run = 0; run < ALONE; run++) {
      await bench.send({ run }, {}, "chain");
      await eventually(
        "its last step is called",
        () => [...begun.values()].filter(({ length }) => length === STEPS).length > run,
        60_000,
      );
    }
    const waits = [...begun.values()].flatMap((times) => times.slice(1).map((time, i) => time - (times[i] as number)));
    waits.sort((one, other) => one - other);
    await ended("chain", ALONE);
    let started = performance.now();
    for (let run = 0; run < TOGETHER; run++) await bench.send({ run }, {}, "chain");
    await ended("chain", ALONE + TOGETHER);
    const stepsPerSecond = (TOGETHER * STEPS * 1000) / (performance.now() - started);
    started = performance.now();
    await bench.send(
      Array.from({ length: ITEMS }, (_, i) => i),
      {},
      "each",
    );
    await ended("each", 1);
    const itemMs = (performance.now() - started) / ITEMS;
    const at = (share: number) => waits[Math.floor((waits.length - 1) * share)] as number;
    return { stepP50Ms: at(0.5), stepP99Ms: at(0.99), stepsPerSecond, itemMs };
  } finally {
    await bench.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { stepP50Ms, stepP99Ms, stepsPerSecond, itemMs } = await measureFlows();
  console.log(`${cpus().length} cores, store in a file, functions that answer at once`);
  console.log(`a step:            p50 ${stepP50Ms.toFixed(1)} ms, p99 ${stepP99Ms.toFixed(1)} ms (aim: 15 ms)`);
  console.log(`${TOGETHER} runs at a time: ${stepsPerSecond.toFixed(0)} steps a second`);
  console.log(`an item of a map:  ${itemMs.toFixed(1)} ms`);
}

import { spawnSync } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { pathToFileURL } from "node:url";
import type { EmbeddedEvents } from "../../events/store/embedded/index.ts";
import { openJetStreamEvents } from "../../events/store/jetstream/index.ts";
import { FlowBench, type FlowBenchOptions, SILENT } from "../support/events/flow-bench.ts";
import { eventually } from "../support/eventually.ts";
import { NatsServer } from "../support/nats-server.ts";

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

/** Measures it on a store of its own: in a file when none is given. */
export async function measureFlows(openStores?: FlowBenchOptions["openStores"]): Promise<FlowFigures> {
  const begun = new Map<string, number[]>();
  const bench = await FlowBench.open({
    ...(openStores && { openStores }),
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

async function onJetStream(): Promise<EmbeddedEvents> {
  const server = await NatsServer.start();
  const stores = await openJetStreamEvents({ servers: [server.address], log: SILENT });
  await stores.whenOpen;
  const close = async () => {
    await stores.close();
    await server.remove();
  };
  return { ...stores, close };
}

function print(where: string, { stepP50Ms, stepP99Ms, stepsPerSecond, itemMs }: FlowFigures): void {
  console.log(where);
  console.log(`  a step:             p50 ${stepP50Ms.toFixed(1)} ms, p99 ${stepP99Ms.toFixed(1)} ms (aim: 15 ms)`);
  console.log(`  ${TOGETHER} runs at a time: ${stepsPerSecond.toFixed(0)} steps a second`);
  console.log(`  an item of a map:   ${itemMs.toFixed(1)} ms`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, functions that answer at once`);
  print("embedded", await measureFlows());
  if (spawnSync("nats-server", ["-v"]).error) console.log("nats-server is not installed: without JetStream");
  else print("JetStream", await measureFlows(onJetStream));
}

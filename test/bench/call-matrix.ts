import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ROOT } from "../support/platform.ts";
import { cpuMicros, cpuMicrosOfTree } from "./cpu.ts";
import { applyLoad, GENERATOR, type LoadResult, median } from "./load.ts";
import { memoryOf, memoryOfAll } from "./memory.ts";
import { FUNCTIONS, type WholePath } from "./whole-path.ts";

/** What is called how; one table each. */
export interface Kind {
  readonly name: string;
  /** Of a POST; a GET when absent. */
  readonly bodyBytes?: number;
  readonly keepAlive: boolean;
}

const BODIES = { GET: undefined, "POST of 1 KiB": 1024, "POST of 1 MiB": 1024 ** 2 };

export const KINDS: readonly Kind[] = [true, false].flatMap((keepAlive) =>
  Object.entries(BODIES).map(([body, bodyBytes]) => ({
    name: `${body}, ${keepAlive ? "keep-alive" : "a connection for each call"}`,
    keepAlive,
    ...(bodyBytes !== undefined && { bodyBytes }),
  })),
);

export interface MatrixOptions {
  readonly kinds: readonly Kind[];
  readonly connections: readonly number[];
  readonly seconds: number;
  /** Of which the median counts. In turns, so that whatever else the machine does meets all alike. */
  readonly rounds: number;
}

interface Target {
  readonly name: string;
  readonly url: string;
  /** Of the gateway that it goes through; absent for the function itself. */
  readonly gateway?: number;
}

interface Row extends LoadResult {
  readonly name: string;
  /** What 10,000 calls take of the gateway's and the provider's processors, in seconds. */
  readonly cpu?: readonly [gateway: number, provider: number];
  /** Megabytes of both after it, what is shared counted once. */
  readonly memory?: readonly [gateway: number, provider: number];
}

/** Prints a table for each kind of call, for each number of connections all ways side by side. */
export async function benchMatrix(path: WholePath, options: MatrixOptions): Promise<void> {
  const { kinds, connections, seconds, rounds } = options;
  const plain = fork(join(ROOT, "test/bench/plain-proxy.mjs"), [path.direct]);
  try {
    const [{ port }] = (await once(plain, "message")) as [{ port: number }];
    const ways = targetsOf(path);
    const all = [...ways, { name: "Express + http.request", url: `http://127.0.0.1:${port}/` }];
    for (const { url } of all) await applyLoad({ url, connections: 16, seconds: 2 }); // until compiled and at rest
    console.log(`\nThe whole path (${rounds} × ${seconds} s each, ${GENERATOR}).`);
    console.log("CPU of gateway, provider and both in seconds for 10,000 calls; their memory after it in MB (PSS).");
    for (const kind of kinds) {
      const targets = kind.keepAlive ? all : ways;
      console.log(`\n${kind.name}`);
      console.log(HEAD);
      for (const count of connections) {
        const runs = targets.map((): Row[] => []);
        for (let round = 0; round < rounds; round++) {
          for (const [index, target] of targets.entries()) {
            runs[index]?.push(await measure(path, target, { ...kind, connections: count, seconds }));
          }
        }
        const rows = runs.map(median);
        for (const row of rows) {
          console.log(format(row === rows[0] ? String(count) : "", row, (rows[0] as Row).requestsPerSecond));
        }
      }
    }
  } finally {
    plain.kill();
  }
}

function targetsOf({ direct, gateways }: WholePath): Target[] {
  const through = gateways.flatMap(({ process, workers }) =>
    Object.entries(FUNCTIONS).map(([name, replicas]) => ({
      name: `${counted(replicas, "replica")}${gateways.length > 1 ? `, ${counted(workers, "worker")}` : ""}`,
      url: `${process.url}/function/${name}`,
      gateway: process.pid,
    })),
  );
  return [{ name: "direct", url: direct }, ...through];
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** Of large bodies for many connections few are through in so short a time. */
const LONGER_SECONDS = 2;

async function measure(path: WholePath, target: Target, load: Kind & Load): Promise<Row> {
  const row = await measureFor(path, target, load);
  if (row.requests > load.connections || load.seconds >= LONGER_SECONDS) return row;
  return await measureFor(path, target, { ...load, seconds: LONGER_SECONDS });
}

interface Load {
  readonly connections: number;
  readonly seconds: number;
}

async function measureFor({ provider }: WholePath, { name, url, gateway }: Target, load: Kind & Load): Promise<Row> {
  if (gateway === undefined) return { ...(await applyLoad({ ...load, url })), name };
  const spent = async () => [await cpuMicrosOfTree(gateway), cpuMicros(provider.pid)] as const;
  const before = await spent();
  const result = await applyLoad({ ...load, url });
  const after = await spent();
  const perTenThousand = (part: 0 | 1) => ((after[part] - before[part]) / result.requests) * (10_000 / 1e6);
  // Replicas are the provider's children, but no part of it.
  const memory = [(await memoryOf(gateway)).pss, (await memoryOfAll([provider.pid])).pss] as const;
  return { ...result, name, cpu: [perTenThousand(0), perTenThousand(1)], memory };
}

const PARTS = ["gateway", "provider", "both"].map((part) => part.padStart(9)).join("");
const HEAD =
  `  ${"".padEnd(5)}${"".padEnd(24)}${"req/s".padStart(8)}${"× direct".padStart(10)}${"p50 ms".padStart(9)}` +
  `${"p99 ms".padStart(9)}   CPU${PARTS}    MB${PARTS}`;
const BETWEEN = " ".repeat(6);

function format(connections: string, row: Row, direct: number): string {
  const { name, requestsPerSecond, p50, p99, cpu, memory } = row;
  const number = (value: number, digits: number, width: number) =>
    (Number.isFinite(value) && row.requests > 0 ? value.toFixed(digits) : "–").padStart(width);
  const parts = (values: readonly [number, number], digits: number) =>
    BETWEEN + [...values, values[0] + values[1]].map((value) => number(value, digits, 9)).join("");
  return (
    `  ${connections.padEnd(5)}${name.padEnd(24)}${requestsPerSecond.toFixed(0).padStart(8)}` +
    `${number(requestsPerSecond / direct, 2, 10)}${number(p50, 2, 9)}${number(p99, 2, 9)}` +
    `${cpu ? parts(cpu, 2) : ""}${memory ? parts(memory, 0) : ""}`
  );
}

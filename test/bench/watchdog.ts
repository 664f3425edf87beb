/**
 * `npm run bench:watchdog`: each mode of the watchdog at 1 and 16 connections, beside a plain `node:http` server with the same
 * handler; `classic` beside a server in Go that starts a process for each call, where Go is installed, and beside the
 * watchdogs that `WATCHDOG_BIN` and `OF_WATCHDOG_BIN` name. What is compared takes turns, so that a busy machine is busy for all;
 * what a call takes of the processors depends on others least. Then the size of the bundle, its start and its memory.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";
import { applyLoad, GENERATOR, type LoadResult, median } from "./load.ts";
import { memoryOf } from "./memory.ts";
import { measureWatchdogStart } from "./watchdog-start.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 2);
const BUNDLE = join(ROOT, "dist/watchdog.mjs");

type Env = Readonly<Record<string, string>>;

interface Side {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Env;
}

interface Comparison {
  readonly title: string;
  readonly path: string;
  /** The first is the bar. */
  readonly sides: readonly Side[];
}

const folder = await temporaryFolder();
const file = (name: string, text: string): string => {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
};
const HANDLER = 'export default (req, res) => void req.resume().on("end", () => res.end("hello"));\n';
const handler = file("handler.mjs", HANDLER);
const server = file(
  "server.mjs",
  `import { createServer } from "node:http";
import handle from "./handler.mjs";
const server = createServer(handle).listen(Number(process.env.http_port ?? process.env.port), "127.0.0.1");
server.on("listening", () => console.log("listening on port", server.address().port));
`,
);
mkdirSync(join(folder.path, "public"));
writeFileSync(join(folder.path, "public/hello.txt"), "hello");

const ours = (env: Env): Side => ({ name: `${env.mode}`, command: [process.execPath, BUNDLE], env });
const bare: Side = { name: "node:http", command: [process.execPath, server], env: {} };
const http = { mode: "http", fprocess: `${process.execPath} ${server}`, upstream_url: "http://127.0.0.1:0" };
const go = buildGo();
const named = (variable: string, name: string, env: Env): Side[] => {
  const binary = process.env[variable];
  return binary === undefined ? [] : [{ name, command: [binary], env }];
};
const others = [
  ...(go === undefined ? [] : [{ name: "Go, no watchdog", command: [go, "cat"], env: {} }]),
  ...named("WATCHDOG_BIN", "$WATCHDOG_BIN", { fprocess: "cat" }),
];

const comparisons: readonly Comparison[] = [
  { title: "a handler in Node", path: "/", sides: [bare, ours({ mode: "inproc", inproc_handler: handler })] },
  {
    title: "a server behind the watchdog",
    path: "/",
    sides: [bare, ours(http), ...named("OF_WATCHDOG_BIN", "$OF_WATCHDOG_BIN", http)],
  },
  {
    title: "a file",
    path: "/hello.txt",
    sides: [bare, ours({ mode: "static", static_path: join(folder.path, "public") })],
  },
  {
    title: "a process for each call (cat)",
    path: "/",
    sides: [
      ...others,
      ...["classic", "serializing", "streaming"].map((mode) => ours({ mode, fprocess: "cat" })),
      ...named("OF_WATCHDOG_BIN", "$OF_WATCHDOG_BIN, streaming", { mode: "streaming", fprocess: "cat" }),
    ],
  },
];

try {
  console.log(`medians of ${ROUNDS} × ${SECONDS} s with ${GENERATOR}; 256 bytes are posted`);
  if (go === undefined) console.log("Go is not installed: nothing in Go to compare with");
  for (const comparison of comparisons) await compare(comparison);
  const { size } = statSync(BUNDLE);
  console.log(`\nbundle: ${(size / 1024).toFixed(0)} KB (at most 150)`);
  await measureMemory();
  await measureWatchdogStart(folder.path, 15);
} finally {
  await folder.remove();
}

/** The server in Go; undefined without Go. */
function buildGo(): string | undefined {
  const source = fileURLToPath(new URL("fork-server.go", import.meta.url));
  const target = join(folder.path, "fork-server");
  const env = { ...process.env, GO111MODULE: "off", GOCACHE: join(folder.path, "go-cache") };
  const { status } = spawnSync("go", ["build", "-o", target, source], { env, stdio: "ignore" });
  return status === 0 ? target : undefined;
}

async function open({ command, env }: Side): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const [program = "", ...args] = command;
  const port = await freePort();
  const tmp = join(folder.path, `tmp-${port}`);
  mkdirSync(tmp);
  const own = {
    port: String(port),
    metrics_port: "0",
    bind_address: "127.0.0.1",
    healthcheck_interval: "0s",
    TMPDIR: tmp,
  };
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, ...own, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (text) => {
      said = (said + text).slice(0, 4096);
    });
  }
  const url = () => `http://127.0.0.1:${/^listening on (\d+)/.exec(said)?.[1] ?? port}`;
  await eventually("it answers", async () => (await fetch(url(), { method: "POST" })).status !== 500, 30_000);
  return { url: url(), child };
}

/** Microseconds of the processors, of the whole group, those of processes that were waited for included. */
function cpuOfTree(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ")
    .slice(11, 15);
  const own = fields.reduce((sum, ticks) => sum + Number(ticks), 0) * 10_000;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean);
  return children.reduce((sum, child) => {
    try {
      return sum + cpuOfTree(Number(child));
    } catch {
      return sum; // it has ended
    }
  }, own);
}

async function compare({ title, path, sides }: Comparison): Promise<void> {
  const opened = await Promise.all(sides.map(open));
  try {
    for (const connections of [1, 16]) {
      const runs = sides.map(() => [] as (LoadResult & { readonly cpu: number })[]);
      for (let round = -1; round < ROUNDS; round++) {
        for (const [index, { url, child }] of opened.entries()) {
          const pid = child.pid as number;
          const before = cpuOfTree(pid);
          const run = await applyLoad({
            url: url + path,
            connections,
            seconds: round < 0 ? 1 : SECONDS,
            bodyBytes: 256,
          });
          if (round >= 0) runs[index]?.push({ ...run, cpu: (cpuOfTree(pid) - before) / run.requests });
        }
      }
      const rows = runs.map(median);
      const [bar] = rows as [(typeof rows)[number]];
      console.log(`\n${title}, ${connections} ${connections === 1 ? "connection" : "connections"}`);
      for (const [index, { requestsPerSecond, p50, cpu }] of rows.entries()) {
        const speed = `${requestsPerSecond.toFixed(0).padStart(7)} calls/s (${(requestsPerSecond / bar.requestsPerSecond).toFixed(2)} ×)`;
        const cost = `${cpu.toFixed(0).padStart(5)} µs of CPU each (${(bar.cpu / cpu).toFixed(2)} ×)`;
        console.log(`  ${(sides[index] as Side).name.padEnd(26)}${speed}   ${cost}   p50 ${p50.toFixed(2)} ms`);
      }
    }
  } finally {
    for (const { child } of opened) process.kill(-(child.pid as number), "SIGKILL");
  }
}

async function measureMemory(): Promise<void> {
  const { child, url } = await open(ours({ mode: "inproc", inproc_handler: handler }));
  const idle = await memoryOf(child.pid as number);
  await applyLoad({ url, connections: 16, seconds: 2 });
  const used = await memoryOf(child.pid as number);
  process.kill(-(child.pid as number), "SIGKILL");
  console.log(
    `memory (PSS, inproc): ${idle.pss.toFixed(0)} MB idle, ${used.pss.toFixed(0)} MB after a load (at most 55 idle)`,
  );
}

import { fork } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { connect, type Socket } from "node:net";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { cpuMicrosOfThreads } from "./cpu.ts";

/**
 * What the dashboard costs a gateway that is called at a fixed rate: without it, with it while nobody looks, and with a page open that
 * follows the stream and asks for graphs and calls. Two gateways are called at the same time. What one of two processes takes more than the
 * other without any reason goes out when the same two are compared before and after the page is opened.
 */
const RATE = Number(process.env.BENCH_RATE ?? 5_000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 20);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 2);
/** Times that all begins anew: processes of the same program differ. */
const REPEATS = Number(process.env.BENCH_REPEATS ?? 3);
const FUNCTIONS = 50;
const CONNECTIONS = 32;
const TICK_MS = 5;
/** What a page may add, in percent of one core. */
const AIM = 3;

/** Calls functions in turn at a fixed rate, over connections that stay. */
class Caller {
  calls = 0;
  readonly #sockets: Socket[];
  readonly #sent = new Map<Socket, number>();

  private constructor(sockets: Socket[]) {
    this.#sockets = sockets;
    for (const socket of sockets) {
      this.#sent.set(socket, 0);
      socket.setNoDelay(true).setEncoding("latin1");
      socket.on("error", () => {});
      socket.on("data", (data) => {
        const answers = String(data).split("HTTP/1.1 200").length - 1;
        this.calls += answers;
        this.#sent.set(socket, (this.#sent.get(socket) ?? 0) - answers);
      });
    }
  }

  static async open(url: string): Promise<Caller> {
    const port = Number(new URL(url).port);
    const sockets = Array.from({ length: CONNECTIONS }, () => connect(port, "127.0.0.1"));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    return new Caller(sockets);
  }

  /** One call at a time on each connection; what the gateway is too slow for is not made up for. */
  async run(ms: number): Promise<void> {
    const start = performance.now();
    let due = 0;
    for (let now = start; now - start < ms; now = performance.now()) {
      due = Math.min(due + CONNECTIONS, ((now - start) * RATE) / 1000);
      while (this.#begun < due && this.#call()) this.#begun++;
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    this.#begun = 0;
  }

  #begun = 0;
  #turn = 0;

  #call(): boolean {
    const free = this.#sockets.find((socket) => this.#sent.get(socket) === 0);
    if (!free) return false;
    this.#sent.set(free, 1);
    const name = `f${this.#turn++ % FUNCTIONS}`;
    free.write(
      `GET /function/${name}/path HTTP/1.1\r\nHost: gateway\r\nUser-Agent: bench\r\nAccept: */*\r\nX-A: some value\r\nX-B: another\r\n\r\n`,
    );
    return true;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** What a page does that shows the graphs and the calls of a function. */
function openPage({ url }: ServerProcess): () => void {
  const stream = get(`${url}/ui/api/stream`, (answer) => answer.resume());
  stream.on("error", () => {});
  const ask = (path: string) => fetch(url + path).then((answer) => answer.arrayBuffer());
  const timer = setInterval(() => {
    ask("/ui/api/series?function=f1").catch(() => {});
    ask("/ui/api/calls?function=f1").catch(() => {});
  }, 2_000);
  return () => {
    clearInterval(timer);
    stream.destroy();
  };
}

interface Round {
  /** CPU time of the gateway for a second of calls. */
  readonly percent: number;
  readonly rate: number;
}

async function measure(gateway: ServerProcess, caller: Caller): Promise<Round> {
  const [before, calls, start] = [cpuMicrosOfThreads(gateway.pid), caller.calls, performance.now()];
  await caller.run(SECONDS * 1_000);
  const seconds = (performance.now() - start) / 1_000;
  const rate = (caller.calls - calls) / seconds;
  // Where the machine gives less than the rate, for as many calls as there would have been.
  return { percent: ((cpuMicrosOfThreads(gateway.pid) - before) / seconds / 10_000 / rate) * RATE, rate };
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

const told = (ratios: readonly number[]) => `${((median(ratios) - 1) * 100).toFixed(1)} %`;

async function repeat(provider: FakeProvider): Promise<{ closed: number[]; open: number[]; points: number }> {
  const folders = await Promise.all([temporaryFolder(), temporaryFolder()]);
  const env = { functions_provider_url: provider.url.href, gateway_workers: "1", log_level: "info" };
  const [off, on] = (await Promise.all(
    ["off", "on"].map((ui, place) =>
      startServerProcess("gateway/process/main.ts", { ...env, ui, data_dir: folders[place]?.path as string }),
    ),
  )) as [ServerProcess, ServerProcess];
  const callers: Caller[] = [];
  for (const { url } of [off, on]) {
    await eventually("it is called", async () => (await fetch(`${url}/function/f1`)).ok, 30_000);
    const caller = await Caller.open(url);
    callers.push(caller);
    await caller.run(6_000);
  }
  const [without, within] = callers as [Caller, Caller];
  const rounds = async (): Promise<{ ratios: number[]; points: number }> => {
    const ratios: number[] = [];
    const rows: number[][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // At the same time, so that whatever else the machine does meets both.
      const [bare, seen] = await Promise.all([measure(off, without), measure(on, within)]);
      ratios.push(seen.percent / bare.percent);
      rows.push([bare.percent, seen.percent, bare.rate, seen.rate]);
    }
    const [bare, seen, bareRate, seenRate] = [0, 1, 2, 3].map((at) => median(rows.map((row) => row[at] as number)));
    console.log(
      `    without ${bare?.toFixed(1)} % at ${bareRate?.toFixed(0)}/s, with ${seen?.toFixed(1)} % at ${seenRate?.toFixed(0)}/s: ${told(ratios)}`,
    );
    return { ratios, points: median(rows.map(([bare = 0, seen = 0]) => seen - bare)) };
  };
  console.log("  nobody looks");
  const closed = await rounds();
  const leave = openPage(on);
  await within.run(4_000);
  console.log("  a page is open");
  const open = await rounds();
  leave();
  for (const caller of callers) caller.close();
  await Promise.all([off.stop(), on.stop()]);
  for (const folder of folders) await folder.remove();
  return { closed: closed.ratios, open: open.ratios, points: open.points - closed.points };
}

const provider = await FakeProvider.open();
const replica = fork(fileURLToPath(new URL("ui-replica.mjs", import.meta.url)));
const [port] = (await once(replica, "message")) as [number];
for (let count = 0; count < FUNCTIONS; count++) {
  const name = `f${count}`;
  provider.put({ name, endpoints: [{ address: `127.0.0.1:${port}`, instance: name, state: "ready" }] });
}
console.log(
  `The dashboard's cost for a gateway, CPU of its process at ${RATE} calls/s (${REPEATS} × ${ROUNDS} × ${SECONDS} s; load ${loadavg()[0]?.toFixed(1)})`,
);
const closed: number[] = [];
const open: number[] = [];
const added: number[] = [];
/** Of one core. */
const points: number[] = [];
for (let count = 0; count < REPEATS; count++) {
  const ratios = await repeat(provider);
  closed.push(median(ratios.closed));
  open.push(median(ratios.open));
  added.push(median(ratios.open) / median(ratios.closed));
  points.push(ratios.points);
}
console.log(`  nobody looks: ${told(closed)} more than without a dashboard`);
console.log(`  a page is open: ${told(open)} more than without a dashboard`);
console.log(
  `  the page adds ${median(points).toFixed(1)} % of a core (aim: < ${AIM} %), ${told(added)} of what the gateway takes; load ${loadavg()[0]?.toFixed(1)}`,
);
replica.disconnect();
await provider.close();
process.exitCode = median(points) < AIM ? 0 : 1;

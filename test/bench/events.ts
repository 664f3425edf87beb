/**
 * `npm run bench:events`: events side by side with what they are made of, in one run: raw publishes to JetStream, accepted
 * asynchronous calls, and events that are accepted for one trigger, for ten of which one wants them, and by an expression
 * in CESQL; then what one second of them takes to be routed and delivered, and how long an event is under way that comes
 * alone. Numbers of one machine say little; the ratios are what is claimed. `--profile` writes processor profiles of the
 * gateway to `./profiles`.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { AsyncStack } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { NatsServer } from "../support/nats-server.ts";
import { whenToldToStop } from "../support/when-told-to-stop.ts";
import { cpuMicros } from "./cpu.ts";
import { applyLoad, GENERATOR } from "./load.ts";
import { publishRaw } from "./publish-raw.ts";

const { values: options } = parseArgs({
  options: {
    profile: { type: "boolean", default: false },
    jetstream: { type: "boolean", default: true },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
  },
  allowNegative: true,
});
const SECONDS = Number(options.seconds);
const ROUNDS = Number(options.rounds);
const IN_FLIGHT = 64;
const BODY_BYTES = 256;
const WARM_UP_S = 1;
const DRAINS_WITHIN_MS = 600_000;
/** Events that come one by one, to see how long each is under way. */
const ALONE = 300;
const ALONE_EVERY_MS = 10;

const HEADERS = {
  "ce-specversion": "1.0",
  "ce-id": "bench",
  "ce-source": "/bench",
  "ce-type": "order.created",
  "content-type": "application/json",
};
const TYPE = { exact: { type: "order.created" } };
const CESQL = "type LIKE 'order.%' AND source = '/bench' AND LENGTH(id) > 2";

/** Brokers, with the filters of their triggers. */
const BROKERS: Readonly<Record<string, readonly object[]>> = {
  one: [TYPE],
  ten: [TYPE, ...Array.from({ length: 9 }, (_, i) => ({ exact: { type: `order.other-${i}` } }))],
  cesql: [{ cesql: CESQL }],
};

/** Remembers how long events were under way that say when they were sent. */
const TIMER = `
const times = [];
module.exports = async (event, context) => {
  const sent = event.headers["ce-sentat"];
  if (sent) times.push(performance.timeOrigin + performance.now() - Number(sent));
  return context.status(200).succeed(event.method === "GET" ? JSON.stringify(times.splice(0)) : "");
};
`;
const FUNCTIONS = {
  bench: { handler: 'module.exports = async () => "hello";\n' },
  timer: { handler: TIMER },
};
const PROFILE = options.profile ? { NODE_OPTIONS: "--cpu-prof --cpu-prof-dir=profiles" } : {};
const WORKING = { events_worker: "true" };
const ENV = {
  events_worker: "false",
  async_worker: "false",
  async_function_max_calls: "1000000",
  events_max_bytes: "16Gi",
  events_concurrency: "86",
  drain_timeout: "1s",
  ...PROFILE,
};

type Kind = "embedded" | "jetstream";
const HAS_NATS = spawnSync("nats-server", ["-v"]).error === undefined;
const KINDS: readonly Kind[] = options.jetstream && HAS_NATS ? ["embedded", "jetstream"] : ["embedded"];
if (options.jetstream && !HAS_NATS) console.log("nats-server is not installed: without JetStream");

const rates: Record<string, number[]> = {};
const note = (name: string, rate: number) => {
  rates[name] = [...(rates[name] ?? []), rate];
};
const of = (name: string) => {
  const sorted = (rates[name] ?? []).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

console.log(`${IN_FLIGHT} in flight, bodies of ${BODY_BYTES} bytes, median of ${ROUNDS} × ${SECONDS} s, ${GENERATOR}`);
for (const kind of KINDS) await bench(kind);

async function bench(kind: Kind): Promise<void> {
  const stack = await AsyncStack.start({ queue: kind, workers: 0, functions: FUNCTIONS, env: ENV });
  const raw = kind === "jetstream" ? await NatsServer.start() : undefined;
  const remove = () => Promise.all([stack.remove(), raw?.remove()]);
  using _ = whenToldToStop(remove);
  try {
    await declareBrokers(stack);
    for (let round = 0; round < ROUNDS; round++) {
      // In turns, so that whatever else the machine does meets all of them alike.
      if (raw) note("raw", await publishRaw(raw, { seconds: SECONDS, inFlight: IN_FLIGHT, bodyBytes: BODY_BYTES }));
      await measureAccept(stack, "/async-function/bench", `${kind} async`);
      for (const broker of Object.keys(BROKERS)) {
        await measureAccept(stack, `/broker/${broker}`, `${kind} ${broker}`);
        await restart(stack, WORKING);
        await measureDone(stack, broker, `${kind} ${broker} done`);
        if (broker === "one") for (const time of await measureAlone(stack)) note(`${kind} alone`, time);
        await restart(stack, {});
      }
    }
  } finally {
    await remove();
  }
  tell(kind);
}

function tell(kind: Kind): void {
  const accepted = of(`${kind} async`);
  const share = (rate: number) =>
    `${rate.toFixed(0)}/s = ${(rate / accepted).toFixed(2)} × accepted asynchronous calls`;
  const published = kind === "jetstream" ? `; raw publish ${of("raw").toFixed(0)}/s` : "";
  const cpu = (name: string) => `${of(`${kind} ${name} cpu`).toFixed(0)} µs of processor each`;
  console.log(`${kind}: asynchronous calls ${accepted.toFixed(0)}/s, ${cpu("async")}${published}`);
  for (const [broker, filters] of Object.entries(BROKERS)) {
    const what = broker === "cesql" ? "one trigger with CESQL" : `${filters.length} of which one wants it`;
    console.log(`  ${what}: accepted ${share(of(`${kind} ${broker}`))} (aim: ≥ 0.5), ${cpu(broker)}`);
    console.log(
      `    delivered ${of(`${kind} ${broker} done`).toFixed(0)}/s, ${cpu(`${broker} done`)} with that of being routed`,
    );
  }
  const times = (rates[`${kind} alone`] ?? []).toSorted((a, b) => a - b);
  const at = (share: number) => (times[Math.floor(times.length * share)] ?? Number.NaN).toFixed(1);
  console.log(
    `  from the request to the function, ${times.length} that came alone: p50 ${at(0.5)} ms (aim: ≤ 15), p99 ${at(0.99)} ms`,
  );
}

async function declareBrokers({ url }: AsyncStack): Promise<void> {
  const put = async (path: string, spec: object) => {
    const answer = await fetch(`${url}${path}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(spec),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  for (const [broker, triggers] of Object.entries(BROKERS)) {
    await put(`/system/brokers/${broker}`, { maxAge: "1h" });
    for (const [i, filter] of triggers.entries()) {
      const subscriber = { function: i === 0 ? "timer" : "bench" };
      await put(`/system/triggers/${broker}-${i}`, { broker, filters: [filter], subscriber, concurrency: IN_FLIGHT });
    }
  }
}

/** Nothing delivers meanwhile. Notes what is accepted in a second, and the time of processors that each takes. */
async function measureAccept({ url, gateway }: AsyncStack, path: string, name: string): Promise<void> {
  const load = { url: `${url}${path}`, connections: IN_FLIGHT, bodyBytes: BODY_BYTES, headers: HEADERS };
  await applyLoad({ ...load, seconds: WARM_UP_S });
  const before = cpuMicros(gateway.pid);
  const { requests, requestsPerSecond } = await applyLoad({ ...load, seconds: SECONDS });
  note(name, requestsPerSecond);
  note(`${name} cpu`, (cpuMicros(gateway.pid) - before) / requests);
}

/** Of what is being routed and delivered, from when some has been to when nearly all has. */
async function measureDone(stack: AsyncStack, broker: string, name: string): Promise<void> {
  const all = await openOf(stack, broker);
  if (all === 0) return;
  const below = async (share: number) => {
    const { open } = await eventually(
      "events are delivered",
      async () => {
        const open = await openOf(stack, broker);
        return open <= all * share && { open };
      },
      DRAINS_WITHIN_MS,
      50,
    );
    return { at: performance.now(), open, cpu: cpuMicros(stack.gateway.pid) };
  };
  const first = await below(0.9);
  const last = await below(0.05);
  await below(0);
  const count = first.open - last.open;
  note(name, (count / (last.at - first.at)) * 1000);
  note(`${name} cpu`, (last.cpu - first.cpu) / count);
}

async function openOf({ url }: AsyncStack, broker: string): Promise<number> {
  return ((await (await fetch(`${url}/system/brokers/${broker}`)).json()) as { open: number }).open;
}

async function measureAlone({ url }: AsyncStack): Promise<number[]> {
  await fetch(`${url}/function/timer`);
  for (let i = 0; i < ALONE; i++) {
    const sentat = String(performance.timeOrigin + performance.now());
    const headers = { ...HEADERS, "ce-id": `alone-${i}`, "ce-sentat": sentat };
    await fetch(`${url}/broker/one`, { method: "POST", headers, body: "{}" });
    await new Promise((resolve) => setTimeout(resolve, ALONE_EVERY_MS));
  }
  const times: number[] = [];
  await eventually("all have come", async () => {
    times.push(...((await (await fetch(`${url}/function/timer`)).json()) as number[]));
    return times.length >= ALONE;
  });
  return times;
}

async function restart(stack: AsyncStack, env: Readonly<Record<string, string>>): Promise<void> {
  await stack.gateway.stop();
  await stack.startGateway(env);
  await eventually("the function is known", async () => (await fetch(`${stack.url}/function/bench`)).status === 200);
}

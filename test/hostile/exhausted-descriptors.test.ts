import { spawnSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { LoneGateway } from "../support/lone-gateway.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

/** Not a file more can be opened, whoever has used up the others: each process says so, and is well when some are back. */
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
}, 60_000);

/** Lets a process open nothing more until it closes something. @returns what gives it back its descriptors */
async function exhaust(pid: number): Promise<() => void> {
  const used = new Set((await readdir(`/proc/${pid}/fd`)).map(Number));
  // A new one gets the lowest number that is free.
  let lowest = 0;
  while (used.has(lowest)) lowest++;
  limit(pid, lowest);
  return () => limit(pid, 4_096);
}

function limit(pid: number, descriptors: number): void {
  const { status, stderr } = spawnSync("prlimit", [`--pid=${pid}`, `--nofile=${descriptors}:`], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

interface Outcome {
  /** 0 where the connection was closed without an answer. */
  readonly status: number;
  readonly code: string | null;
  readonly text: string;
}

/** On a connection of its own. @throws when nothing happens at all */
async function ask(url: string, init: RequestInit = {}): Promise<Outcome> {
  const signal = AbortSignal.timeout(25_000);
  try {
    const answer = await fetch(url, { ...init, headers: { connection: "close", ...init.headers }, signal });
    return { status: answer.status, code: answer.headers.get("x-faaslane-error"), text: await answer.text() };
  } catch (error) {
    if (signal.aborted) throw error;
    return { status: 0, code: null, text: String((error as Error).cause) };
  }
}

const statuses = (outcomes: readonly Outcome[]) => [...new Set(outcomes.map(({ status }) => status))];
const askMany = (url: string, times = 40) => Promise.all(Array.from({ length: times }, () => ask(url)));
const allWell = (url: string) =>
  eventually("all is well again", async () => (await askMany(url)).every(({ status }) => status === 200), 30_000, 100);

test("a gateway without descriptors turns callers away or says 503, and is well again", async () => {
  const on = await LoneGateway.start();
  opened.push(() => on.close());
  const [replica] = await on.startReplicas(1);
  await on.announce("f", [replica?.address as string]);
  const giveBack = await exhaust(on.gateway.pid);
  const outcomes = [...(await askMany(on.url("f"))), ...(await askMany(on.url("f")))];
  const odd = outcomes.filter(({ status, code }) => ![0, 200].includes(status) && code !== "out_of_resources");
  expect(odd).toEqual([]);
  expect(statuses(outcomes)).not.toEqual([200]);
  giveBack();
  await allWell(on.url("f"));
}, 120_000);

test("calls on connections that are there get a 503 when none to a replica can be had, and an answer when one can", async () => {
  const on = await LoneGateway.start();
  opened.push(() => on.close());
  const replicas = await on.startReplicas(2);
  const [first, second] = replicas.map(({ address }) => address) as [string, string];
  await on.announce("f", [first]);
  on.put("g", [second]);
  // Its connections are kept, and it has had no call that it could keep one of.
  await Promise.all(Array.from({ length: 20 }, () => fetch(on.url("f", "?ms=200")).then((answer) => answer.text())));
  const giveBack = await exhaust(on.gateway.pid);
  const answers = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const answer = await fetch(on.url("g"));
      return [answer.status, answer.headers.get("x-faaslane-error"), await answer.text()];
    }),
  );
  expect(answers.filter(([status]) => status !== 200)).not.toEqual([]);
  for (const answer of answers.filter(([status]) => status !== 200)) {
    expect(answer).toEqual([
      503,
      "out_of_resources",
      expect.stringMatching(/^the gateway cannot send the call: EMFILE/),
    ]);
  }
  giveBack();
  await allWell(on.url("g"));
}, 120_000);

async function startProvider(): Promise<ServerProcess> {
  const folder = await temporaryFolder();
  opened.push(() => folder.remove());
  const provider = await startServerProcess("provider/main.ts", {
    data_dir: join(folder.path, "data"),
    sandbox: "off",
  });
  opened.push(() => provider.stop());
  return provider;
}

async function deploy(
  { url }: ServerProcess,
  service: string,
  env: Record<string, string>,
  source = "",
): Promise<void> {
  await buildImage({ control: (path, init) => fetch(url + path, init) }, `${service}:1`, {
    "faaslane.json": JSON.stringify({ env }),
    "index.mjs": source,
  });
  expect((await order({ url }, service)).status).toBe(202);
}

const order = ({ url }: Pick<ServerProcess, "url">, service: string, image = `${service}:1`) =>
  ask(`${url}/system/functions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ service, image }),
  });

const INPROC = { mode: "inproc", inproc_handler: "./index.mjs" };
const PID = "export default (req, res) => void setTimeout(() => res.end(String(process.pid)), 20);";

test("a provider without descriptors turns orders away or says 503, leaves replicas alone, and is well again", async () => {
  const provider = await startProvider();
  await deploy(provider, "f", INPROC, PID);
  await allWell(`${provider.url}/function/f`);
  const [{ text: pid } = { text: "" }] = await askMany(`${provider.url}/function/f`, 1);
  const giveBack = await exhaust(provider.pid);
  const outcomes: Outcome[] = [];
  // Some are free again where others have ended meanwhile, as on a busy machine.
  const isFelt = () => outcomes.some(({ status }) => status !== 202);
  for (let i = 0; i < 20 || (i < 200 && !isFelt()); i++) outcomes.push(await order(provider, `new-${i}`, "f:1"));
  expect(outcomes.filter(({ status, code }) => ![0, 202].includes(status) && code !== "out_of_resources")).toEqual([]);
  expect(statuses(outcomes)).not.toEqual([202]);
  giveBack();
  await allWell(`${provider.url}/function/f`);
  expect((await ask(`${provider.url}/function/f`)).text).toBe(pid);
  expect((await order(provider, "later", "f:1")).status).toBe(202);
  await allWell(`${provider.url}/function/later`);
}, 120_000);

test.each<[mode: string, env: Record<string, string>, source: string]>([
  ["inproc", INPROC, PID],
  ["classic", { mode: "classic", fprocess: "cat" }, ""],
  [
    "http",
    { mode: "http", fprocess: "node index.mjs", upstream_url: "http://127.0.0.1:3000" },
    'import { createServer } from "node:http"; createServer((req, res) => setTimeout(() => res.end("fine"), 20)).listen(process.env.PORT);',
  ],
])(
  "a watchdog of mode %s without descriptors fails calls with a status, and is well again",
  async (mode, env, source) => {
    const provider = await startProvider();
    await deploy(provider, mode, env, source);
    const url = `${provider.url}/function/${mode}`;
    await allWell(url);
    const pid = await watchdogOf(provider.pid);
    const giveBack = await exhaust(pid);
    // More than there are connections that are kept.
    const outcomes = await askMany(url, 120);
    for (let more = 0; more < 10 && outcomes.every(({ status }) => status === 200); more++) {
      outcomes.push(...(await askMany(url, 240)));
    }
    expect(outcomes.filter(({ status }) => ![200, 500, 502, 503].includes(status))).toEqual([]);
    expect(statuses(outcomes)).not.toEqual([200]);
    giveBack();
    await allWell(url);
    expect(await watchdogOf(provider.pid)).toBe(pid);
  },
  120_000,
);

/** The only replica's. */
async function watchdogOf(provider: number): Promise<number> {
  const [pid] = (spawnSync("ps", ["-o", "pid=", "--ppid", String(provider)], { encoding: "utf8" }).stdout ?? "")
    .trim()
    .split(/\s+/);
  return Number(pid);
}

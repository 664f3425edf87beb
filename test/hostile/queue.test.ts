import { stat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** What strangers can do to the queue, against the whole platform. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  const limits = { async_max_bytes: "400Mi", async_function_max_bytes: "120Mi", async_function_max_calls: "3000" };
  const retries = { max_retry_attempts: "1", initial_retry_wait: "10ms" };
  platform = await Platform.start({ dataDir: folder.path, env: { ...limits, ...retries } });
  const echo = "export default (req, res) => res.end('ok');\n";
  for (const name of ["echo", "other"]) await deploy(name, { mode: "inproc", inproc_handler: "./f.mjs" }, echo);
}, 60_000);

afterAll(async () => {
  expect((await fetch(`${platform.url}/function/echo`, { method: "POST", body: "still here" })).status).toBe(200);
  await platform.stop();
  await folder.remove();
});

async function deploy(service: string, env: Record<string, string>, handler: string): Promise<void> {
  await buildImage(platform, `${service}:1`, { "faaslane.json": JSON.stringify({ env }), "f.mjs": handler });
  const body = JSON.stringify({ service, image: `${service}:1` });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
}

const post = (headers: Record<string, string>, body: Uint8Array | string, path = "/async-function/echo") =>
  fetch(platform.url + path, { method: "POST", headers, body });

const BATCH = { "x-batch": "true", "content-type": "application/x-ndjson" };

/** The longest of the calls that somebody else makes, one after the other, while `work` goes on. */
async function longestMeanwhile(work: Promise<unknown>): Promise<number> {
  let over = false;
  const end = () => {
    over = true;
  };
  work.then(end, end);
  let longest = 0;
  while (!over) {
    const begun = performance.now();
    const answer = await fetch(`${platform.url}/function/echo`, { method: "POST" });
    expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
    longest = Math.max(longest, performance.now() - begun);
  }
  await work;
  return longest;
}

/** What is done in one piece takes seconds. */
const SHORT_MS = 400;
/** A busy machine can hold everybody up once, or twice, */
const ROUNDS = 4;
/** and calls take their time on one, whatever else is sent. */
const TIMES_USUAL = 4;

/** The longest of some calls while nobody sends anything else. */
async function usualLongest(): Promise<number> {
  let calls = 0;
  const enough = eventually("some calls are over", () => calls >= 30, 20_000);
  const counted = async () => {
    while (calls < 30) {
      await (await fetch(`${platform.url}/function/echo`, { method: "POST" })).text();
      calls++;
    }
  };
  const [longest] = await Promise.all([longestMeanwhile(enough), counted()]);
  return longest;
}

test.each<[attack: string, body: Buffer, status: number]>([
  ["five million brackets", Buffer.alloc(5_000_000, "["), 400],
  ["two million brackets side by side", Buffer.from(`[${"[],".repeat(2_000_000)}1]`), 202],
  ["10 MB of newlines", Buffer.alloc(10_000_000, "\n"), 400],
  ["10 MB of blanks", Buffer.alloc(10_000_000, " \t\r\n"), 400],
])(
  "a batch of %s holds nobody up",
  async (_attack, body, status) => {
    const short = Math.max(SHORT_MS, TIMES_USUAL * (await usualLongest()));
    let shortest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS && shortest >= short; round++) {
      const sending = Promise.all(Array.from({ length: 4 }, async () => (await post(BATCH, body)).status));
      shortest = Math.min(shortest, await longestMeanwhile(sending));
      expect(new Set(await sending)).toEqual(new Set([status]));
    }
    expect(shortest).toBeLessThan(short);
  },
  60_000,
);

test("the headers of a batch are not copied into the queue without end", async () => {
  const answer = await post({ ...BATCH, "x-large": "x".repeat(100_000) }, "1\n".repeat(10_000));
  expect([answer.status, await answer.text()]).toEqual([413, expect.stringContaining("times 10000 lines")]);
  expect(answer.headers.get("location")).toBeNull();
});

test("uploads that stand still do not keep others from sending", async () => {
  const bytes = 10 * 1024 ** 2;
  const stalled: { readonly socket: Socket; received: string }[] = [];
  for (let i = 0; i < 30; i++) {
    const socket = connect(platform.port, "127.0.0.1");
    const one = { socket, received: "" };
    socket.on("data", (text) => {
      one.received += text;
    });
    socket.on("error", () => undefined); // those that are given up are closed
    socket.write(`POST /async-function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
    await new Promise<void>((sent) => socket.write(Buffer.alloc(bytes - 1), () => sent()));
    stalled.push(one);
  }
  for (let i = 0; i < 5; i++) expect((await post({}, Buffer.alloc(9_000_000))).status).toBe(202);
  await eventually("those who gave way are told and closed", () =>
    stalled.some(({ socket, received }) => received.startsWith("HTTP/1.1 429") && socket.closed),
  );
  for (const { socket } of stalled) socket.destroy();
}, 60_000);

test("names of built-in properties are names like any other, of functions and of headers", async () => {
  const names = ["constructor", "toString", "hasOwnProperty", "__proto__"];
  const handler = `const names = ${JSON.stringify(names)};
    export default (req, res) => {
      for (const name of names) res.setHeader(name, ["1", "2"]);
      res.end(JSON.stringify(Object.entries(req.headers).filter(([name]) => names.some((n) => n.toLowerCase() === name))));
    };\n`;
  await deploy("constructor", { mode: "inproc", inproc_handler: "./f.mjs" }, handler);
  const sent = Object.fromEntries(names.map((name) => [name, "x"]));
  const own = (answer: Response) => names.map((name) => answer.headers.get(name));
  const called = await post(sent, "", "/function/constructor?constructor=1&__proto__=2");
  expect([called.status, own(called)]).toEqual([200, names.map(() => "1, 2")]);
  const accepted = await post({ ...sent, "x-call-id": "__proto__" }, "", "/async-function/constructor?__proto__=2");
  expect(accepted.status).toBe(202);
  const result = await fetch(`${platform.url + accepted.headers.get("location")}/result?wait=20s`);
  expect([result.status, own(result)]).toEqual([200, names.map(() => "1, 2")]);
  expect(await result.json()).toEqual(await called.json());
  expect((await platform.control("/async-function/__proto__")).status).toBe(200);
  expect((await platform.control("/async-function/constructor")).status).toBe(404);
  expect((await platform.control("/system/queue?function=constructor")).status).toBe(200);
});

const queueBytes = async () => (await stat(join(folder.path, "queue.db"))).size;
const queueOf = async (name: string) =>
  (await (await platform.control(`/system/queue?function=${name}`)).json()) as {
    readonly bytes: number;
    readonly functions: readonly { readonly waiting: number }[];
  };

test.each<[what: string, headers: Record<string, string>, body: Buffer, most: number]>([
  ["bodies", {}, Buffer.alloc(4_000_000), 31],
  ["headers", { "x-large": "x".repeat(900_000) }, Buffer.alloc(1), 140],
])("delayed calls with large %s do not fill the disk, and can be purged", async (_what, headers, body, most) => {
  const before = await queueBytes();
  let accepted = 0;
  let refusal: Response | undefined;
  while (!refusal && accepted <= most) {
    const answer = await post({ ...headers, "x-delay": "1h" }, body);
    if (answer.status === 202) accepted++;
    else refusal = answer;
  }
  expect([refusal?.status, await refusal?.text()]).toEqual([429, expect.stringContaining("async_function_max_bytes")]);
  expect((await queueBytes()) - before).toBeLessThan(150 * 1024 ** 2);
  // One function's calls leave room for another's.
  expect((await post({ "x-delay": "1h" }, body, "/async-function/other")).status).toBe(202);
  expect((await platform.control("/system/queue", { method: "DELETE" })).status).toBe(400);
  const purge = (init: RequestInit) =>
    fetch(`${platform.url}/system/queue?function=echo`, { method: "DELETE", ...init });
  expect((await purge({})).status).toBe(401);
  const purged = await purge({ headers: { authorization: await platform.authorization() } });
  expect(await purged.json()).toEqual({ count: accepted });
  expect((await post({}, body)).status).toBe(202);
});

test("a batch of as many calls as one may have is bounded as all calls are", async () => {
  const lines = "1\n".repeat(3_000);
  const batches = await Promise.all(Array.from({ length: 3 }, () => post({ ...BATCH, "x-delay": "2s" }, lines)));
  expect(new Set(batches.map(({ status }) => status))).toEqual(new Set([202]));
  let most = 0;
  await eventually(
    "they are made calls of",
    async () => {
      const { functions } = await queueOf("echo");
      most = Math.max(most, functions[0]?.waiting ?? 0);
      return functions.length === 0 || functions[0]?.waiting === 0;
    },
    60_000,
  );
  expect(most).toBeLessThanOrEqual(3_000);
}, 90_000);

test("a stranger with somebody's idempotency key learns nothing of the call and cannot end it", async () => {
  const key = { "x-idempotency-key": "order-7", "x-delay": "1h" };
  const mine = await post({ ...key, authorization: "Bearer mine" }, "my order");
  expect(mine.status).toBe(202);
  const id = mine.headers.get("location")?.slice("/async-function/".length) as string;
  for (const [headers, body, path] of [
    [{}, "my order", undefined],
    [{ authorization: "Bearer guess" }, "my order", undefined],
    [{ authorization: "Bearer mine" }, "another order", undefined],
    [{ authorization: "Bearer mine" }, "my order", "/async-function/echo/other"],
    [{ authorization: "Bearer mine" }, "my order", "/async-function/echo?other"],
  ] as const) {
    const answer = await post({ ...key, ...headers }, body, path);
    expect([answer.status, answer.headers.get("location")]).toEqual([422, null]);
    expect(JSON.stringify([[...answer.headers], await answer.text()])).not.toContain(id);
  }
  const again = await post({ ...key, authorization: "Bearer mine" }, "my order");
  expect([again.status, again.headers.get("location")]).toEqual([202, mine.headers.get("location")]);
  expect((await fetch(`${platform.url}/async-function/${id}`, { method: "DELETE" })).status).toBe(202);
});

test("ids of calls tell neither how many there were nor what others are", async () => {
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) ids.push((await post({}, "x")).headers.get("x-call-id") as string);
  const parts = ids.map((id) => id.replaceAll("-", "").match(/.{12}/g) as string[]);
  // Neither as they are, nor by what they hold themselves, nor by the distance of one from the next.
  const views = [
    parts.map(([place = ""]) => BigInt(`0x${place}`)),
    parts.map(([place = "", mask = ""]) => BigInt(`0x${place}`) ^ BigInt(`0x${mask}`)),
    ids.map((id) => BigInt(`0x${id.replaceAll("-", "").slice(0, 12)}`) ^ BigInt(`0x${id.slice(-12)}`)),
  ];
  for (const numbers of views) {
    expect(numbers.filter((number) => number < 2n ** 32n)).toEqual([]);
    const steps = numbers.slice(1).map((number, i) => number - (numbers[i] as bigint));
    expect(steps.filter((step) => step > 0n && step < 2n ** 24n)).toEqual([]);
  }
  const [id = ""] = ids;
  for (let at = 0; at < id.length; at++) {
    if (id[at] === "-" || at === 14) continue;
    const digit = (Number.parseInt(id[at] as string, 16) ^ 1).toString(16);
    const guess = id.slice(0, at) + digit + id.slice(at + 1);
    expect((await fetch(`${platform.url}/async-function/${guess}`)).status).toBe(404);
  }
});

test("a function that answers as if the platform had refused the call is not called for ever", async () => {
  const handler = `let calls = 0;
    export default (req, res) => {
      if (req.method === "GET") return res.end(String(calls));
      calls++;
      res.writeHead(429, { "X-OpenFaaS-Internal": "of-watchdog" });
      res.end();
    };\n`;
  await deploy("liar", { mode: "inproc", inproc_handler: "./f.mjs" }, handler);
  const accepted = await post({}, "x", "/async-function/liar");
  const report = await (await fetch(`${platform.url + accepted.headers.get("location")}?wait=20s`)).json();
  const calls = Number(await (await fetch(`${platform.url}/function/liar`)).text());
  // Its answer counts, or at least the waits between its calls grow.
  expect(calls).toBeLessThan(25);
  expect(report).toMatchObject({ state: "dead", attempts: 2 });
});

test("an upload that is refused at once does not hang its connection", async () => {
  for (const head of ["X-Delay: soon", "X-Batch: maybe", `X-Idempotency-Key: ${"k".repeat(300)}`]) {
    const socket = connect(platform.port, "127.0.0.1");
    let received = "";
    socket.on("data", (text) => {
      received += text;
    });
    socket.on("error", () => undefined); // it is closed with a part of the request unread
    socket.write(`POST /async-function/echo HTTP/1.1\r\nHost: x\r\n${head}\r\nContent-Length: 1000000\r\n\r\nx`);
    await eventually("it is answered and closed", () => received.startsWith("HTTP/1.1 400") && socket.closed);
    socket.destroy();
  }
});

const look = (path: string) => platform.control(`/system/queue/${path}`);
const lookAsStranger = (path: string) => fetch(`${platform.url}/system/queue/${path}`);
const SECRETS = {
  authorization: "Bearer s3cret-1",
  cookie: "id=s3cret-2",
  "x-api-key": "s3cret-3",
  "x-callback-url": "http://user:s3cret-4@203.0.113.1/?key=s3cret-5",
  referer: "http://user:s3cret-6@host/?access_token=s3cret-7",
};

test("a stranger cannot look through the queue, nor into a call whose id they know", async () => {
  const mine = await post({ "x-delay": "1h", "x-call-id": "watched" }, "private");
  const id = mine.headers.get("location")?.split("/").at(-1) as string;
  for (const path of ["calls", `call?id=${id}`, `call/body?id=${id}`, "call?id=watched"]) {
    const answer = await lookAsStranger(path);
    expect(answer.status).toBe(401);
    expect(await answer.text()).not.toMatch(/private|watched/);
  }
});

test("who looks through the queue is shown no credentials that callers have sent", async () => {
  // Not of the function whose batches may still be under way.
  const mine = await post({ ...SECRETS, "x-delay": "1h" }, "s3cret-8", "/async-function/other?sig=s3cret-9");
  const id = mine.headers.get("location")?.split("/").at(-1) as string;
  for (const path of ["calls?function=other&limit=1000", `call?id=${id}`]) {
    const text = await (await look(path)).text();
    expect(text).toContain(id);
    expect(text).not.toContain("s3cret");
  }
});

test("what a caller sends cannot become a page or a command where it is looked at", async () => {
  const script = "<script>alert(1)</script>\u001b[2J";
  const mine = await post({ "x-delay": "1h", "content-type": "text/html" }, script);
  const id = mine.headers.get("location")?.split("/").at(-1) as string;
  const answer = await look(`call/body?id=${id}`);
  expect([answer.status, await answer.text()]).toEqual([200, script]);
  expect(answer.headers.get("content-type")).toBe("application/octet-stream");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  expect(answer.headers.get("content-disposition")).toMatch(/^attachment/);
  expect((await look(`call?id=${id}`)).headers.get("content-type")).toBe("application/json");
});

test.each([
  "calls?after=../../etc/passwd",
  "calls?after=9999999999999999999999",
  "calls?after='%20OR%201=1--",
  "calls?limit=1e9",
  "calls?limit=-1",
  "calls?function=*",
  "calls?queue=*",
  "calls?state[]=waiting",
  "call?id[]=x",
  "call/body?id=x&limit=99999999999",
])("a question about the queue that is none is refused: %s", async (path) => {
  expect((await look(path)).status).toBe(400);
});

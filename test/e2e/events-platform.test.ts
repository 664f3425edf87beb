import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { OtlpCollector } from "../support/otlp-collector.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** Remembers what it was sent, and tells it to whoever asks by GET. */
const RECORDER = `
const seen = [];
export default (req, res) => {
  if (req.method === "GET") return res.setHeader("content-type", "application/json").end(JSON.stringify(seen));
  const parts = [];
  req.on("data", (part) => parts.push(part));
  req.on("end", () => {
    seen.push({ env: process.env.RELEASE, headers: req.headers, body: Buffer.concat(parts).toString() });
    res.end();
  });
};`;
/** Sends what it is called with as an event to where its environment says. */
const SENDER = `
export default async (req, res) => {
  const { extensions } = JSON.parse(process.env.K_CE_OVERRIDES);
  const headers = { "ce-specversion": "1.0", "ce-id": "s1", "ce-source": "/sender", "ce-type": "sent" };
  for (const [name, value] of Object.entries(extensions)) headers["ce-" + name] = value;
  const { status } = await fetch(process.env.K_SINK, { method: "POST", headers, body: "hi" });
  res.end(process.env.K_SINK + " " + status);
};`;
/** Is gone for events that say so. */
const LEAVER = `
const seen = [];
export default (req, res) => {
  req.resume();
  const id = req.headers["ce-id"];
  if (id === undefined) return res.setHeader("content-type", "application/json").end(JSON.stringify(seen));
  seen.push({ headers: { id }, body: "" });
  res.writeHead(id.startsWith("gone") ? 410 : 200).end();
};`;
const ANSWERER = `
export default (req, res) => {
  req.resume();
  res.setHeader("ce-specversion", "1.0").setHeader("ce-id", "reply-" + req.headers["ce-id"]);
  res.setHeader("ce-source", "/answerer").setHeader("ce-type", "order.answered");
  res.setHeader("content-type", "application/json").end('{"answered":true}');
};`;

interface Seen {
  readonly env?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let collector: OtlpCollector;
const fileOf = () => join(folder.path, "data/events.db");

beforeAll(async () => {
  folder = await temporaryFolder();
  collector = await OtlpCollector.open();
  platform = await Platform.start({
    dataDir: join(folder.path, "data"),
    cwd: folder.path,
    env: {
      sandbox: "off",
      access_log: join(folder.path, "calls.log"),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: "50",
    },
  });
  for (const [image, handler] of [
    ["recorder:1", RECORDER],
    ["answerer:1", ANSWERER],
    ["sender:1", SENDER],
    ["leaver:1", LEAVER],
  ] as const) {
    await buildImage(platform, image, {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": handler,
    });
  }
}, 90_000);

afterAll(async () => {
  await platform?.stop();
  await collector?.close();
  await folder?.remove();
});

async function deploy(service: string, image: string, annotations: Record<string, string>, labels = {}): Promise<void> {
  const body = JSON.stringify({ service, image, annotations, labels });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
  await eventually(
    `${service} is ready`,
    async () => {
      const known = await platform.control(`/system/function/${service}`);
      return known.ok && ((await known.json()) as { availableReplicas: number }).availableReplicas > 0;
    },
    30_000,
  );
}

const send = (path: string, attributes: Record<string, string>, body = "{}", headers: Record<string, string> = {}) =>
  fetch(platform.url + path, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-source": "/test",
      ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value])),
      ...headers,
    },
  });

async function seenBy(name: string): Promise<Seen[]> {
  return (await (await fetch(`${platform.url}/function/${name}`)).json()) as Seen[];
}

test("a platform that nobody sends events to has no file of them", async () => {
  await deploy("plain", "recorder:1", {});
  expect((await fetch(`${platform.url}/function/plain`)).status).toBe(200);
  expect(existsSync(fileOf())).toBe(false);
}, 60_000);

test("an event goes from a request through a broker to the function whose annotation names its type", async () => {
  await deploy("orders", "recorder:1", { topic: "order.created" });
  const answer = await send("/broker/default", { id: "1", type: "order.created" }, '{"total":7}', {
    "x-request-id": "r1",
  });
  expect([answer.status, await answer.text()]).toEqual([202, ""]);
  expect((await send("/broker/default", { id: "2", type: "order.cancelled" })).status).toBe(202);
  const [seen] = await eventually(
    "the function has it",
    async () => {
      const all = await seenBy("orders");
      return all.length > 0 ? all : undefined;
    },
    30_000,
  );
  expect(seen?.body).toBe('{"total":7}');
  expect(seen?.headers).toMatchObject({
    "ce-id": "1",
    "ce-type": "order.created",
    "ce-source": "/test",
    "content-type": "application/json",
    "x-request-id": "r1",
    prefer: "reply",
    "kn-namespace": "openfaas-fn",
  });
  expect(await seenBy("orders")).toHaveLength(1);
}, 60_000);

test("an event's way can be followed: a line of the access log, and spans that are linked", async () => {
  await deploy("traced", "recorder:1", { topic: "traced" });
  expect((await send("/broker/default", { id: "t1", type: "traced" })).status).toBe(202);
  expect((await send("/broker/nowhere", { id: "t2", type: "traced" })).status).toBe(404);
  const accepted = await eventually("its acceptance", () => collector.named("POST /broker/"), 30_000);
  const delivery = await eventually("its delivery", () => collector.named("process traced.openfaas-fn"), 30_000);
  expect(delivery).toMatchObject({ kind: 5, attributes: { "messaging.destination.name": "events" } });
  const ids = collector.spans.filter(({ name }) => name === "POST /broker/").map(({ spanId }) => spanId);
  expect(ids).toContain(delivery.links?.[0]?.spanId);
  expect(accepted.kind).toBe(2);
  const lines = await eventually("the lines are written", async () => {
    const text = await readFile(join(folder.path, "calls.log"), "utf8");
    const all = text.split("\n").flatMap((line) => (line.includes('"kind":"event"') ? [JSON.parse(line)] : []));
    return all.some(({ status }) => status === 404) && all;
  });
  expect(lines).toContainEqual(expect.objectContaining({ method: "POST", path: "/broker/default", status: 202 }));
  expect(lines).toContainEqual(expect.objectContaining({ path: "/broker/nowhere", error: "unknown_broker" }));
}, 60_000);

test("a function that names its broker is told where that is, and sends events there", async () => {
  const declared = await platform.control("/system/brokers/outbox", { method: "PUT", body: '{"maxAge":"1h"}' });
  expect(declared.status).toBe(201);
  await deploy("listener", "recorder:1", { topic: "sent", "com.faaslane.events.broker": "outbox" });
  await deploy("sender", "sender:1", {
    "com.faaslane.events.sink": "outbox",
    "com.faaslane.events.overrides": '{"tenant":"acme"}',
  });
  const answer = await fetch(`${platform.url}/function/sender`);
  expect(await answer.text()).toBe(`${platform.url}/broker/openfaas-fn/outbox 202`);
  const [seen] = await eventually(
    "the listener has it",
    async () => {
      const all = await seenBy("listener");
      return all.length > 0 ? all : undefined;
    },
    30_000,
  );
  expect(seen).toMatchObject({ body: "hi", headers: { "ce-type": "sent", "ce-tenant": "acme" } });
}, 60_000);

test("a function that names a sink sends its events through the platform to that one", async () => {
  await deploy("outside", "recorder:1", {});
  const spec = { type: "webhook", url: `${platform.url}/function/outside` };
  const declared = await platform.control("/system/sinks/partner", { method: "PUT", body: JSON.stringify(spec) });
  expect(declared.status).toBe(201);
  await deploy("seller", "sender:1", {
    "com.faaslane.events.sink": "sink/partner",
    "com.faaslane.events.overrides": '{"tenant":"acme"}',
  });
  const answer = await fetch(`${platform.url}/function/seller`);
  expect(await answer.text()).toBe(`${platform.url}/broker/openfaas-fn/sink/partner 202`);
  const [seen] = await eventually(
    "the sink has it",
    async () => {
      const all = await seenBy("outside");
      return all.length > 0 ? all : undefined;
    },
    30_000,
  );
  expect(seen).toMatchObject({ body: "hi", headers: { "ce-type": "sent", "ce-tenant": "acme" } });
}, 60_000);

test("a trigger whose subscriber was gone starts again when it is resumed, and when the function is deployed again", async () => {
  const annotations = { topic: "leaving" };
  await deploy("leaver", "leaver:1", annotations);
  const trigger = async () =>
    (await (await platform.control("/system/triggers/leaver")).json()) as { readonly stopped?: string };
  const stops = async (id: string) => {
    expect((await send("/broker/default", { id, type: "leaving" })).status).toBe(202);
    await eventually("it has stopped", async () => (await trigger()).stopped === "answered 410", 30_000);
  };
  const gets = async (id: string) => {
    expect((await send("/broker/default", { id, type: "leaving" })).status).toBe(202);
    const has = async () => (await seenBy("leaver")).some(({ headers }) => headers.id === id);
    await eventually(`it has ${id}`, has, 30_000);
  };
  await stops("gone-1");
  expect((await platform.control("/system/triggers/leaver/resume", { method: "POST" })).status).toBe(200);
  await gets("here-1");
  await stops("gone-2");
  const body = JSON.stringify({ service: "leaver", image: "leaver:1", annotations, envVars: { AGAIN: "1" } });
  expect((await platform.control("/system/functions", { method: "PUT", body })).status).toBe(202);
  await eventually("it goes on", async () => (await trigger()).stopped === undefined, 30_000);
  await gets("here-2");
}, 90_000);

test("a reply goes back to the broker, and on to who wants it", async () => {
  await deploy("answerer", "answerer:1", { topic: "order.asked" });
  await deploy("asker", "recorder:1", { topic: "order.answered" });
  expect((await send("/broker/default", { id: "q1", type: "order.asked" })).status).toBe(202);
  const [seen] = await eventually(
    "the asker has the answer",
    async () => {
      const all = await seenBy("asker");
      return all.length > 0 ? all : undefined;
    },
    30_000,
  );
  expect(seen).toMatchObject({ body: '{"answered":true}', headers: { "ce-id": "reply-q1" } });
}, 60_000);

test("an event goes to the version that has the function's calls, and the ledger names it", async () => {
  await deploy("split", "recorder:1", { topic: "split" });
  const second = {
    service: "split",
    image: "recorder:1",
    annotations: { topic: "split" },
    envVars: { RELEASE: "two" },
  };
  const updated = await platform.control("/system/functions", { method: "PUT", body: JSON.stringify(second) });
  expect(updated.status).toBe(202);
  const targets = JSON.stringify({ targets: [{ version: "v1", share: 10_000 }] });
  await eventually(
    "all calls go to the first version again",
    async () => (await platform.control("/system/function/split/traffic", { method: "PUT", body: targets })).ok,
    30_000,
  );
  const served = async () => (await fetch(`${platform.url}/function/split`)).headers.get("x-function-version");
  await eventually("the gateway knows", async () => (await served()) === "v1", 30_000);
  expect((await send("/broker/default", { id: "s-v1", type: "split" })).status).toBe(202);
  const [seen] = await eventually(
    "it has the event",
    async () => {
      const all = await seenBy("split");
      return all.length > 0 ? all : undefined;
    },
    30_000,
  );
  expect([seen?.headers["ce-id"], seen?.env]).toEqual(["s-v1", undefined]);
  const told = await eventually("it is told as delivered", async () => {
    const text = await (await platform.control("/system/events/s-v1")).text();
    return text.includes("delivered") && text;
  });
  expect(told).toContain('"version":"v1"');
}, 90_000);

test("an event wakes a function that sleeps", async () => {
  await deploy("sleeper", "recorder:1", { topic: "wake" });
  const none = JSON.stringify({ serviceName: "sleeper", replicas: 0 });
  expect((await platform.control("/system/scale-function/sleeper", { method: "POST", body: none })).status).toBe(202);
  const replicas = async () =>
    ((await (await platform.control("/system/function/sleeper")).json()) as { availableReplicas?: number })
      .availableReplicas ?? 0;
  await eventually("it sleeps", async () => (await replicas()) === 0, 30_000);
  expect((await send("/broker/default", { id: "w1", type: "wake" })).status).toBe(202);
  await eventually("it has been woken", async () => (await replicas()) === 1, 30_000);
  const seen = await eventually("it has the event", async () => (await seenBy("sleeper"))[0], 30_000);
  expect(seen.headers["ce-id"]).toBe("w1");
}, 90_000);

test("the broker of a function's annotation that is not sound is told, and nothing is delivered", async () => {
  await deploy("unsound", "recorder:1", { "com.faaslane.events.filter": "type = " });
  const told = await eventually("its trigger is there", async () => {
    const answer = await platform.control("/system/triggers/unsound");
    return answer.ok && ((await answer.json()) as { problem?: string });
  });
  expect(told.problem).toContain("com.faaslane.events.filter");
}, 60_000);

test("a password is asked for where a broker says so", async () => {
  const spec = JSON.stringify({ auth: "basic" });
  expect((await platform.control("/system/brokers/private", { method: "PUT", body: spec })).status).toBe(201);
  const refused = await send("/broker/private", { id: "1", type: "t" });
  expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, expect.stringContaining("Basic")]);
  const authorization = await platform.authorization();
  expect((await send("/broker/private", { id: "1", type: "t" }, "{}", { authorization })).status).toBe(202);
}, 60_000);

test("a broker with events that wait is not removed, unless it is meant", async () => {
  expect((await platform.control("/system/brokers/busy", { method: "PUT", body: "{}" })).status).toBe(201);
  const spec = JSON.stringify({ broker: "busy", subscriber: { uri: "http://127.0.0.1:1/" }, suspend: true });
  expect((await platform.control("/system/triggers/idle", { method: "PUT", body: spec })).status).toBe(201);
  expect((await send("/broker/busy", { id: "1", type: "t" })).status).toBe(202);
  const open = async () =>
    ((await (await platform.control("/system/brokers/busy")).json()) as { open: number; events: number }).open;
  await eventually("its event waits", async () => (await open()) === 1);
  const kept = await platform.control("/system/brokers/busy", { method: "DELETE" });
  expect([kept.status, await kept.text()]).toEqual([409, expect.stringContaining("?force=true")]);
  expect((await platform.control("/system/brokers/busy?force=true", { method: "DELETE" })).status).toBe(204);
  expect((await platform.control("/system/brokers/busy")).status).toBe(404);
  expect((await send("/broker/busy", { id: "2", type: "t" })).status).toBe(404);
}, 60_000);

test("what waits when the platform is killed is delivered when it is there again", async () => {
  await deploy("later", "recorder:1", { topic: "later" });
  const suspended = JSON.stringify({
    filters: [{ exact: { type: "later" } }],
    subscriber: { function: "later" },
    suspend: true,
  });
  expect((await platform.control("/system/triggers/later", { method: "PUT", body: suspended })).status).toBe(201);
  for (let id = 0; id < 50; id++)
    expect((await send("/broker/default", { id: `k${id}`, type: "later" })).status).toBe(202);
  platform.kill("SIGKILL");
  await platform.ended;
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path, env: { sandbox: "off" } });
  await eventually(
    "the function is back",
    async () => (await fetch(`${platform.url}/function/later`)).status === 200,
    60_000,
  );
  await eventually(
    "its trigger goes on",
    async () => {
      return (await platform.control("/system/triggers/trigger%2Fopenfaas-fn%2Flater/resume", { method: "POST" })).ok;
    },
    30_000,
  );
  await eventually(
    "all of them are delivered",
    async () => {
      const ids = new Set((await seenBy("later")).map(({ headers }) => headers["ce-id"]));
      return ids.size === 50;
    },
    60_000,
  );
}, 150_000);

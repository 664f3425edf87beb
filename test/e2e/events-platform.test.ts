import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** Remembers what it was sent, and tells it to whoever asks by GET. */
const RECORDER = `
const seen = [];
export default (req, res) => {
  if (req.method === "GET") return res.setHeader("content-type", "application/json").end(JSON.stringify(seen));
  const parts = [];
  req.on("data", (part) => parts.push(part));
  req.on("end", () => {
    seen.push({ headers: req.headers, body: Buffer.concat(parts).toString() });
    res.end();
  });
};`;
const ANSWERER = `
export default (req, res) => {
  req.resume();
  res.setHeader("ce-specversion", "1.0").setHeader("ce-id", "reply-" + req.headers["ce-id"]);
  res.setHeader("ce-source", "/answerer").setHeader("ce-type", "order.answered");
  res.setHeader("content-type", "application/json").end('{"answered":true}');
};`;

interface Seen {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
const fileOf = () => join(folder.path, "data/events.db");

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path, env: { sandbox: "off" } });
  for (const [image, handler] of [
    ["recorder:1", RECORDER],
    ["answerer:1", ANSWERER],
  ] as const) {
    await buildImage(platform, image, {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": handler,
    });
  }
}, 90_000);

afterAll(async () => {
  await platform?.stop();
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

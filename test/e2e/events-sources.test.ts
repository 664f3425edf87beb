import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { type DieAt, judge, runKilled } from "../support/events/killed-source.ts";
import { openSourceStack } from "../support/events/source-stack.ts";
import type { WebhookOrders } from "../support/events/webhook-process.ts";
import { SIGNERS } from "../support/events/webhook-signers.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const KILLS: readonly DieAt[] = [1, 2, 3].flatMap((append) =>
  (["before", "after", "acknowledged"] as const).map((step) => ({ append, step })),
);
const SECRET = "correct-horse-battery";

describe("a process that is killed between any two steps loses nothing", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "faaslane-killed-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("of 1,000 items that it asks for", async () => {
    const items = Array.from({ length: 1_000 }, (_, id) => ({ id }));
    const server = createServer((_req, res) => res.end(JSON.stringify(items)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      const spec = { type: "http-poll", url, items: ".", id: "id", interval: "1s" };
      const stored = await runKilled({ path: join(folder, "events.db"), spec, secrets: {} }, KILLS.slice(0, 6), 1_000);
      expect(judge(stored)).toEqual({ distinct: 1_000, repeated: 0, torn: [] });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }, 90_000);

  test("of the clock's ticks", async () => {
    const spec = { type: "cron", schedule: "@every 1s", catchUp: "all:1000" };
    const stored = await runKilled({ path: join(folder, "events.db"), spec, secrets: {} }, KILLS.slice(0, 6), 1);
    const times = stored.map(({ event }) => Date.parse(String(event.attributes.time))).sort((a, b) => a - b);
    expect(times.length).toBeGreaterThanOrEqual(6);
    expect(times).toEqual(times.map((_time, place) => (times[0] as number) + place * 1_000));
    expect(new Set(stored.map(({ event }) => event.attributes.id)).size).toBe(stored.length);
  }, 90_000);

  test("of 1,000 webhooks whose sender tries again", async () => {
    const spec = { type: "webhook", profile: "github", secret: { secret: "shared" } };
    const orders: WebhookOrders = { folder, spec, secrets: { shared: SECRET } };
    const waiting = new Set(Array.from({ length: 1_000 }, (_, id) => `delivery-${id}`));
    const answers = new Map<number, number>();
    const send = async (url: string, id: string) => {
      const body = Buffer.from(JSON.stringify({ id }));
      const headers = { ...SIGNERS.github(body, SECRET, id), "content-type": "application/json" };
      const { status } = await fetch(`${url}/webhook/hook`, { method: "POST", headers, body });
      answers.set(status, (answers.get(status) ?? 0) + 1);
      // Known already: the answer of the first time was lost.
      if (status === 202 || status === 409) waiting.delete(id);
    };
    for (const dieAt of [
      ...[1, 20, 150].flatMap(
        (append) =>
          [
            { append, step: "before" },
            { append, step: "after" },
          ] as const,
      ),
      undefined,
    ]) {
      const child = startReceiver({ ...orders, ...(dieAt && { dieAt }) });
      const gone = once(child.process, "exit");
      const url = await child.url;
      while (waiting.size > 0 && child.process.exitCode === null && child.process.signalCode === null) {
        const some = [...waiting].slice(0, 20);
        await Promise.all(some.map((id) => send(url, id).catch(() => {})));
      }
      if (!dieAt) child.process.kill("SIGKILL");
      await gone;
    }
    expect(waiting.size).toBe(0);
    expect(answers.get(409)).toBeGreaterThan(0);
    const stack = await openSourceStack({ folder });
    const stored = await stack.events();
    await stack.close({ keep: true });
    expect(stored).toHaveLength(1_000);
    expect(new Set(stored.map(({ event }) => event.attributes.id)).size).toBe(1_000);
  }, 90_000);
});

function startReceiver(orders: WebhookOrders) {
  const program = fileURLToPath(new URL("../support/events/webhook-process.ts", import.meta.url));
  const process_ = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    env: { PATH: process.env.PATH, WEBHOOK: JSON.stringify(orders) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = once(createInterface(process_.stdout), "line").then(([line]) => String(line));
  return { process: process_, url };
}

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

describe("on a platform", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path, env: { sandbox: "off" } });
    await buildImage(platform, "recorder:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": RECORDER,
    });
  }, 90_000);
  afterAll(async () => {
    await platform?.stop();
    await folder?.remove();
  });

  async function deploy(service: string, annotations: Record<string, string>): Promise<void> {
    const body = JSON.stringify({ service, image: "recorder:1", annotations });
    expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
  }

  async function seenBy(service: string, count: number) {
    return await eventually(
      `${service} has been called`,
      async () => {
        const answer = await fetch(`${platform.url}/function/${service}`);
        const seen = answer.ok ? ((await answer.json()) as { headers: Record<string, string>; body: string }[]) : [];
        return seen.length >= count && seen;
      },
      40_000,
      100,
    );
  }

  test("a function with a schedule is called by the clock, as OpenFaaS's connector does, and no other is", async () => {
    const cron = { topic: "cron-function", schedule: "* * * * * *" };
    await deploy("ticked", cron);
    await deploy("spoken-to", {
      ...cron,
      "com.faaslane.cron.body": '{"a":1}',
      "com.faaslane.cron.content-type": "application/json",
    });
    await deploy("asleep", { ...cron, "com.faaslane.cron.suspend": "true" });
    const [call] = await seenBy("ticked", 2);
    expect(call?.headers).toMatchObject({
      "x-topic": "cron-function",
      "x-connector": "cron-connector",
      "ce-source": "/cron/openfaas-fn/ticked",
    });
    expect([call?.body, call?.headers["content-type"]]).toEqual(["", undefined]);
    const [spoken] = await seenBy("spoken-to", 1);
    expect([spoken?.body, spoken?.headers["content-type"]]).toEqual(['{"a":1}', "application/json"]);
    const ids = (await seenBy("ticked", 3)).map(({ headers }) => headers["ce-id"]);
    expect(new Set(ids).size).toBe(ids.length);
    expect(await seenBy("asleep", 0)).toEqual([]);
    const sources = (await (await platform.control("/system/sources")).json()) as {
      name: string;
      status: { state: string };
    }[];
    expect(sources.map(({ name, status }) => [name, status.state])).toEqual([
      ["asleep", "suspended"],
      ["spoken-to", "connected"],
      ["ticked", "connected"],
    ]);
  }, 90_000);

  test("a webhook reaches the function whose topic names it, with the platform's secret", async () => {
    const secret = JSON.stringify({ name: "github", value: SECRET });
    expect((await platform.control("/system/secrets", { method: "POST", body: secret })).status).toBe(202);
    await deploy("pushed", { topic: "com.github.push" });
    await seenBy("pushed", 0);
    const spec = JSON.stringify({ type: "webhook", profile: "github", secret: { secret: "github" } });
    const declared = await platform.control("/system/sources/repo", { method: "PUT", body: spec });
    expect(declared.status).toBe(201);
    const body = Buffer.from('{"ref":"refs/heads/main"}');
    const headers = { ...SIGNERS.github(body, SECRET, "d-1"), "content-type": "application/json" };
    await eventually(
      "it is taken",
      async () => (await fetch(`${platform.url}/webhook/repo`, { method: "POST", headers, body })).status === 202,
      20_000,
    );
    const [call] = await seenBy("pushed", 1);
    expect(call?.body).toBe(body.toString());
    expect(call?.headers).toMatchObject({ "ce-type": "com.github.push", "ce-id": "d-1", "x-github-event": "push" });
    expect(JSON.stringify(call?.headers)).not.toContain("x-hub-signature");
  }, 60_000);
});

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { SIGNERS } from "../support/events/webhook-signers.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const SECRET = "correct-horse-battery";

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

/** Takes its time; tells how many calls there were, and how many at a time. */
const SLOW = `
let calls = 0, at = 0, most = 0;
export default (req, res) => {
  if (req.method === "GET") return res.end(JSON.stringify({ calls, most }));
  most = Math.max(most, ++at);
  req.resume();
  setTimeout(() => { at--; calls++; res.end(); }, 1700);
};`;

describe("sources on a platform", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path, env: { sandbox: "off" } });
    for (const [image, handler] of [
      ["recorder:1", RECORDER],
      ["slow:1", SLOW],
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

  async function deploy(service: string, annotations: Record<string, string>, image = "recorder:1"): Promise<void> {
    const body = JSON.stringify({ service, image, annotations });
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

  test.each([
    ["skip", (open: number) => open === 0],
    ["queue", (open: number) => open >= 1],
  ])(
    "calls that take longer than their schedule, with overlap %s: one at a time",
    async (overlap, isRight) => {
      const service = `slow-${overlap}`;
      const annotations = { topic: "cron-function", schedule: "* * * * * *", "com.faaslane.cron.overlap": overlap };
      await deploy(service, annotations, "slow:1");
      const told = await eventually(
        "two calls",
        async () => {
          const answer = await fetch(`${platform.url}/function/${service}`);
          const state = answer.ok ? ((await answer.json()) as { calls: number; most: number }) : undefined;
          return state && state.calls >= 2 && state;
        },
        40_000,
        50,
      );
      expect(told.most).toBe(1);
      const stats = (await (await platform.control(`/system/triggers/${service}`)).json()) as { open: number };
      // One is on its way at most; of those that queue up, more.
      expect(isRight(Math.max(0, stats.open - 1))).toBe(true);
      expect(
        (
          await platform.control("/system/functions", {
            method: "DELETE",
            body: JSON.stringify({ functionName: service }),
          })
        ).status,
      ).toBe(202);
    },
    60_000,
  );

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

import { describe, expect } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { Callers } from "../support/callers.ts";
import { eventually } from "../support/eventually.ts";
import { FakeClock, missingFakeClock } from "../support/fake-clock.ts";
import { NatsServer } from "../support/nats-server.ts";
import { testNeeding } from "../support/needing.ts";
import { temporaryFolder } from "../support/platform.ts";
import { call, inProcess, operate } from "./support.ts";

/** The system's clock is set by an hour, back and forth, while a platform works. */
const HOUR_S = 3600;

/** Refuses the first call of each path, and takes the next. */
const FLAKY = `
  const seen = new Set();
  export default (req, res) => {
    const known = seen.has(req.url);
    seen.add(req.url);
    res.writeHead(known ? 200 : 503).end(known ? "done" : "not yet");
  };
`;

const SCALED = {
  "com.openfaas.scale.type": "capacity",
  "com.openfaas.scale.target": "2",
  "com.openfaas.scale.target-proportion": "1",
  "com.openfaas.scale.max": "4",
  "com.faaslane.scale.window": "6s",
  "com.faaslane.scale.down-delay": "0s",
};
const RETRIED = { "com.openfaas.retry.min_wait": "5s", "com.openfaas.retry.max_wait": "5s" };

const test = testNeeding(missingFakeClock());

describe.each(["embedded", "jetstream"] as const)("with calls queued in %s", (queue) => {
  test("functions are scaled, calls tried again and results kept as if it had not", async () => {
    const folder = await temporaryFolder();
    const clock = new FakeClock(folder.path);
    const nats = queue === "jetstream" ? await NatsServer.start() : undefined;
    const on = await operate({ env: { ...clock.env, ...(nats && { nats_url: `nats://${nats.address}` }) } });
    const callers = new Callers(on.url("scaled", "?ms=100"));
    try {
      await buildImage(on.platform, "flaky:1", inProcess(FLAKY));
      await on.deploy("scaled", { labels: SCALED });
      await on.deploy("flaky", { image: "flaky:1", annotations: RETRIED, labels: { "com.openfaas.scale.max": "1" } });
      await on.whenReady("flaky", 1);
      await on.whenReady("scaled", 1);

      const begin = async (path: string) => {
        const url = `${on.platform.url}/async-function/flaky/${path}`;
        const id = (await fetch(url, { method: "POST" })).headers.get("x-call-id") as string;
        const attempts = async () => (await stateOf(on.platform.url, id)).attempts;
        // More than once where the clock is set in the very moment of its first try.
        await eventually("it was tried", async () => (await attempts()) >= 1, 20_000, 50);
        return id;
      };
      callers.set(8);
      await eventually("it is scaled up", async () => ((await on.status("scaled")).replicas ?? 0) >= 4, 30_000, 100);

      const before = await begin("before");
      clock.set(-HOUR_S);
      await callers.stop();
      const after = await begin("after");
      await eventually("it is scaled down", async () => (await on.status("scaled")).replicas === 1, 40_000, 100);
      await whenDone(on.platform.url, before);
      await whenDone(on.platform.url, after);

      clock.set(HOUR_S);
      const later = await begin("later");
      await whenDone(on.platform.url, later);
      for (const id of [before, after, later]) {
        const result = await call(`${on.platform.url}/async-function/${id}/result`);
        expect([result.status, result.text]).toEqual([200, "done"]);
      }
      expect((await call(on.url("scaled"))).status).toBe(200);
      clock.set(0);
      await whenDone(on.platform.url, await begin("last"));
      expect(callers.failures).toEqual([]);
    } finally {
      await callers.stop();
      await on.close();
      await nats?.remove();
      await folder.remove();
    }
  }, 120_000);
});

async function stateOf(url: string, id: string): Promise<{ state: string; attempts: number }> {
  return (await (await fetch(`${url}/async-function/${id}`)).json()) as { state: string; attempts: number };
}

/** Its second try is due within a few seconds. */
async function whenDone(url: string, id: string): Promise<void> {
  await eventually(`${id} is done`, async () => (await stateOf(url, id)).state === "done", 20_000, 100);
}

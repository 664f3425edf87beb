import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type DieAt, judge, runKilled } from "../support/events/killed-source.ts";
import { openSourceStack } from "../support/events/source-stack.ts";
import type { WebhookOrders } from "../support/events/webhook-process.ts";
import { SIGNERS } from "../support/events/webhook-signers.ts";

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
    // How many there are depends on how long the processes take to start; that none is missing does not.
    expect(times.length).toBeGreaterThanOrEqual(3);
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

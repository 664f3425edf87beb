import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { EventSummary } from "../../contract/events/event-report.ts";
import type { ReplayReport } from "../../contract/events/replay-spec.ts";
import { encodeBatch } from "../../events/codec/http.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** Replays at a real platform that is killed, and over a store that is on NATS. */
interface Received {
  readonly id: string;
  readonly replay: string | undefined;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let receiver: Server;
const received: Received[] = [];
/** What it answers. */
let status = 204;

beforeEach(async () => {
  received.length = 0;
  status = 204;
  receiver = createServer((req, res) => {
    const { "ce-id": id, "x-replay": replay } = req.headers;
    received.push({ id: String(id), replay: replay === undefined ? undefined : String(replay) });
    req.resume().once("end", () => res.writeHead(status).end());
  });
  receiver.listen(0, "127.0.0.1");
  await new Promise((resolve) => receiver.once("listening", resolve));
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path });
  const uri = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const spec = { subscriber: { uri }, delivery: { retry: 0 } };
  expect((await control("PUT", "/system/triggers/all", spec)).status).toBe(201);
});

afterEach(async () => {
  platform.kill("SIGKILL");
  await platform.ended;
  receiver.closeAllConnections();
  receiver.close();
  await folder.remove();
});

async function control(method: string, path: string, body?: object) {
  const answer = await platform.control(path, { method, ...(body && { body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text };
}

async function send(count: number, type: string): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    const events = Array.from({ length: Math.min(100, count - from) }, (_, n) => ({
      attributes: { specversion: "1.0", id: `${type}-${from + n}`, source: "/test", type },
    }));
    const { headers, body } = encodeBatch(events);
    const answer = await fetch(`${platform.url}/broker/default`, {
      method: "POST",
      headers,
      body: new Uint8Array(body),
    });
    expect(answer.status).toBe(202);
  }
}

const settled = (count: number, type: string, state: string) =>
  eventually(
    `${count} are ${state}`,
    async () => {
      const { body } = await control("GET", `/system/events?limit=1000&type=${type}`);
      return (body.items as EventSummary[]).filter((event) => event.state === state).length === count;
    },
    30_000,
    100,
  );

const ended = (name: string) =>
  eventually(
    `the replay ${name} has ended`,
    async () => {
      const { body } = await control("GET", `/system/replays/${name}`);
      return (body as ReplayReport).state === "COMPLETED" && (body as ReplayReport);
    },
    60_000,
    100,
  );

describe("a replay", () => {
  test("goes on where it was when the platform is killed: all are sent again, none is forgotten", async () => {
    await send(300, "kept");
    await settled(300, "kept", "delivered");
    await control("POST", "/system/replays", { name: "killed", type: "kept", rate: 150 });
    const again = () => received.filter(({ replay }) => replay === "killed");
    for (const least of [40, 120]) {
      await eventually(`${least} have come again`, () => again().length >= least, 30_000);
      platform.kill("SIGKILL");
      await platform.ended;
      platform = await Platform.start({ dataDir: folder.path });
    }
    expect(await ended("killed")).toMatchObject({ total: 300, done: 300, skipped: 0 });
    await eventually("all have come", () => new Set(again().map(({ id }) => id)).size === 300, 30_000);
    // What was under way when it was killed comes again, as any delivery does; nothing else is sent twice.
    expect(again().length).toBeLessThanOrEqual(300 + 2 * 64);
  }, 120_000);

  test("of dead letters goes to the trigger that has mended, once each", async () => {
    status = 400;
    await send(20, "broken");
    await settled(20, "broken", "dead");
    status = 204;
    received.length = 0;
    await control("POST", "/system/replays", {
      name: "mend",
      trigger: "all",
      states: ["dead"],
      since: "1h",
      rate: 1000,
    });
    expect(await ended("mend")).toMatchObject({ total: 20, done: 20 });
    await settled(20, "broken", "delivered");
    expect(received.map(({ replay }) => replay)).toEqual(Array(20).fill("mend"));
    const left = await control("POST", "/system/replays", { trigger: "all", states: ["dead"], dryRun: true });
    expect(left.body).toMatchObject({ count: 0 });
  }, 60_000);
});

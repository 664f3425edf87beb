import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import { SESSION_HEADER } from "../../contract/ui/session.ts";
import { SESSION_COOKIE } from "../../contract/ui/session-cookie.ts";
import { openJetStreamEvents } from "../../events/store/jetstream/index.ts";
import { VersionHolds } from "../../gateway/async/intake/version-holds.ts";
import { Sessions } from "../../gateway/ui/sessions/sessions.ts";
import { sleep } from "../../kit/sleep.ts";
import { attempt, done, newEvent, routeTo } from "../events/store-contract.ts";
import { silent } from "../gateway/queue/jetstream/support.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { startRegistry } from "../support/own-registry.ts";

/** The system's clock is set while a process runs, forward by a day or back by an hour, and right again. */
const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
let ahead = 0;
/** By how much more the clock that only goes forward has gone on. */
let passed = 0;

beforeEach(() => {
  [ahead, passed] = [0, 0];
  const [wall, steady] = [Date.now.bind(Date), performance.now.bind(performance)];
  jest.spyOn(Date, "now").mockImplementation(() => wall() + ahead + passed);
  jest.spyOn(performance, "now").mockImplementation(() => steady() + passed);
});
afterEach(() => void jest.restoreAllMocks());

test("a session that has signed out stays out, though the clock was a day ahead for a moment", () => {
  const limits = { idleMs: HOUR_MS, maxMs: 8 * HOUR_MS };
  const sessions = new Sessions({ credentials: { user: "admin", password: "x" }, limits });
  const { cookie, token } = sessions.begin("admin");
  const headers = { cookie: `${SESSION_COOKIE}=${cookie}`, [SESSION_HEADER]: token };
  expect(sessions.read(headers)).toMatchObject({ user: "admin" });
  sessions.end(headers);
  ahead = DAY_MS;
  expect(sessions.read(headers)).toBeUndefined();
  ahead = 0;
  expect(sessions.read(headers)).toBeUndefined();
  // Longer than it could last it need not be remembered.
  passed = DAY_MS;
  expect(sessions.read(headers)).toBeUndefined();
});

test("a pause after a failure is over in its time, though the clock was set back", async () => {
  let asked = 0;
  const hold = () => Promise.reject(new Error(`no ${++asked}`));
  const holds = new VersionHolds({ hold, log: silent });
  const want = () => holds.want({ name: "f", namespace: "openfaas-fn" }, "v1", Date.now());
  await want();
  ahead = -HOUR_MS;
  await want();
  expect(asked).toBe(1);
  passed = 61_000;
  await want();
  expect(asked).toBe(2);
});

test("what is being pushed to the registry is no garbage, though the clock was a day ahead for a moment", async () => {
  const own = await startRegistry({ collectEveryMs: 20, keepUntaggedMs: HOUR_MS });
  try {
    const digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    const pushed = await own.ask(`/v2/a/blobs/uploads/?digest=${digest}`, { method: "POST", body: "x" });
    expect(pushed.status).toBe(201);
    ahead = DAY_MS;
    await sleep(300);
    ahead = 0;
    expect((await own.ask(`/v2/a/blobs/${digest}`, { method: "HEAD" })).status).toBe(200);
    // It goes in its time.
    passed = 3 * HOUR_MS;
    await eventually(
      "it is gone",
      async () => (await own.ask(`/v2/a/blobs/${digest}`, { method: "HEAD" })).status === 404,
    );
  } finally {
    await own.remove();
  }
});

describeWithNats("events on JetStream", () => {
  test("that wait for their next try are tried, though the clock of their process was a day ahead", async () => {
    const server = await NatsServer.start();
    const given = { servers: [server.address], pollMs: 100, leaseMs: 1000, ackWaitMs: 2000, log: silent };
    const store = await openJetStreamEvents(given);
    try {
      let tries = 0;
      const delivered = new Set<string>();
      await store.events.consume(
        routeTo(["t"]),
        async ({ event }) => {
          tries++;
          if (ahead !== 0 || tries <= 20)
            return { kind: "retry", afterMs: ahead === 0 ? 300 : 1_200, attempt: attempt({ status: 503 }) };
          delivered.add(event.ref);
          return done;
        },
        { concurrency: 16, perTrigger: () => 16 },
      );
      await store.events.append(Array.from({ length: 20 }, () => newEvent()));
      await eventually("all were tried", () => tries >= 20, 30_000);
      ahead = 25 * HOUR_MS;
      await sleep(1_500);
      ahead = 0;
      await eventually("all are delivered", () => delivered.size === 20, 30_000);
    } finally {
      await store.close();
      await server.remove();
    }
  }, 60_000);
});

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { CallDetail, CallsAnswer } from "../../../contract/ui/series.ts";
import { CallChoice } from "../../../gateway/telemetry/call-choice.ts";
import { type CallHead, ObservedCall } from "../../../gateway/telemetry/call-record.ts";
import { CallLog } from "../../../gateway/ui/live/call-log.ts";
import { buildCallDetail, buildCallRow } from "../../../gateway/ui/live/call-rows.ts";
import { boundHeaders, shownHeaders } from "../../../gateway/ui/live/kept-headers.ts";
import { eventually } from "../../support/eventually.ts";
import { GuardedGateway } from "../../support/guarded-gateway.ts";

const HOUR = 3600_000;
let now = 0;

function makeLog(options: Partial<ConstructorParameters<typeof CallLog>[0]> = {}): CallLog {
  now = performance.now();
  return new CallLog({ mode: "always", choice: new CallChoice(), now: () => now, ...options });
}

/** A call that has ended; its times follow those before it, a second apart unless told. */
function ended(more: Partial<ObservedCall> = {}, head: Partial<CallHead> = {}): ObservedCall {
  const record = new ObservedCall(
    { kind: "call", method: "GET", url: "/function/f/a?token=1", headers: {}, client: "::1", ...head },
    undefined,
    now,
  );
  now += 1_000;
  const { arrivedAt } = record;
  return Object.assign(
    record,
    { functionName: "f.fn", status: 200, sentAt: arrivedAt + 1, connectedAt: arrivedAt + 2 },
    { firstByteAt: arrivedAt + 5, endedAt: arrivedAt + 6, callId: `c${arrivedAt}` },
    more,
  );
}

const everything = { preset: "all", before: undefined, limit: 1_000 } as const;
const paths = (log: CallLog, preset: "all" | "errors" | "slow" | "cold" = "all") =>
  log.list("f.fn", { ...everything, preset }).map(({ record }) => record.path);

test("errors, slow and cold calls stay when many ordinary ones come after them", () => {
  const log = makeLog();
  log.add(ended({ status: 500 }, { url: "/error" }));
  log.add(ended({ cold: true }, { url: "/cold" }));
  const slow = ended({}, { url: "/slow" });
  log.add(Object.assign(slow, { endedAt: slow.arrivedAt + 1_001 }));
  for (let call = 0; call < 300; call++) log.add(ended({}, { url: `/${call}` }));
  expect([paths(log, "errors"), paths(log, "cold"), paths(log, "slow")]).toEqual([["/error"], ["/cold"], ["/slow"]]);
  const all = paths(log);
  expect([all.length, all[0], all.at(-1)]).toEqual([103, "/299", "/error"]);
});

test("what is slow is slower than most of the last minute's, where that is known", () => {
  const log = makeLog();
  log.look(new Map([["f.fn", 50]]), () => true);
  const call = ended({}, { url: "/51" });
  log.add(Object.assign(call, { endedAt: call.arrivedAt + 51 }));
  log.add(ended({}, { url: "/6" }));
  expect(paths(log, "slow")).toEqual(["/51"]);
});

test("pages of it: each call once, newest first", () => {
  const log = makeLog();
  for (let call = 0; call < 25; call++) log.add(ended({}, { url: `/${call}` }));
  const seen: string[] = [];
  for (let before: number | undefined; ; ) {
    const page = log.list("f.fn", { preset: "all", before, limit: 10 });
    seen.push(...page.slice(0, 10).map(({ record }) => record.path));
    if (page.length <= 10) break;
    before = Number(String(page[9]?.at));
  }
  expect(seen).toEqual(Array.from({ length: 25 }, (_, place) => `/${24 - place}`));
});

test("of very many in a second a few are kept, errors apart from others", () => {
  const log = makeLog();
  const at = { arrivedAt: now, endedAt: now + 1 };
  for (let call = 0; call < 1_000; call++) log.add(ended({ ...at, status: call % 2 ? 200 : 503 }));
  expect([log.size, log.list("f.fn", { ...everything, preset: "errors" }).length]).toEqual([70, 50]);
  expect([log.leftOut("f.fn"), log.leftOut("g.fn")]).toEqual([930, 0]);
  // What other threads have left out counts too, until the function is gone.
  log.leaveOut(new Map([["f.fn", 70]]));
  expect(log.leftOut("f.fn")).toBe(1_000);
  log.look(new Map(), () => false);
  expect(log.leftOut("f.fn")).toBe(0);
});

test("errors, slow and cold calls are kept of a burst that has a thousand ordinary ones before them", () => {
  const log = makeLog();
  const at = { arrivedAt: now, endedAt: now + 1 };
  for (let call = 0; call < 1_000; call++) log.add(ended(at));
  log.add(ended({ ...at, status: 500 }, { url: "/error" }));
  log.add(ended({ ...at, cold: true }, { url: "/cold" }));
  log.add(ended({ ...at, endedAt: at.arrivedAt + 1_001 }, { url: "/slow" }));
  expect([paths(log, "errors"), paths(log, "cold"), paths(log, "slow")]).toEqual([["/error"], ["/cold"], ["/slow"]]);
  expect(log.leftOut("f.fn")).toBe(980);
});

test("nothing is kept before somebody looks, and nothing an hour after", () => {
  const log = makeLog({ mode: "asked" });
  log.add(ended());
  expect([log.on, log.size]).toEqual([false, 0]);
  log.ask();
  log.add(ended());
  log.look(new Map(), () => true);
  expect([log.on, log.size]).toEqual([true, 1]);
  now += HOUR / 2;
  log.ask();
  now += HOUR - 1;
  log.look(new Map(), () => true);
  expect(log.on).toBe(true);
  now += 2;
  log.look(new Map(), () => true);
  expect([log.on, log.size, log.bytes]).toEqual([false, 0, 0]);
});

test("calls of a function that is gone are forgotten, and acceptances are none of its", () => {
  const log = makeLog();
  log.add(ended());
  log.add(ended({ functionName: "g.fn" }));
  log.add(ended({}, { kind: "intake" }));
  log.add(ended({ functionName: undefined }));
  log.look(new Map(), (name) => name === "g.fn");
  expect([log.size, log.list("f.fn", everything)]).toEqual([1, []]);
});

test("all of it has a bound in bytes, and large headers are cut off", () => {
  const log = makeLog({ maxBytes: 100_000 });
  const huge = Object.fromEntries(Array.from({ length: 200 }, (_, place) => [`x-${place}`, "v".repeat(16_000)]));
  for (let call = 0; call < 500; call++) {
    log.add(ended({ functionName: `f${call % 40}.fn`, answerHeaders: huge }, { headers: huge }));
    expect(log.bytes).toBeLessThan(100_000);
  }
  expect(log.size).toBeGreaterThan(5);
  const { headers, chars } = boundHeaders(huge);
  expect(chars).toBeLessThanOrEqual(4_096);
  expect(Object.values(shownHeaders(headers)).every((value) => value.length <= 300)).toBe(true);
});

test("callers that give several calls the same id get none of each other's", () => {
  const log = makeLog();
  for (const path of ["/1", "/2", "/3"]) log.add(ended({ callId: "same" }, { url: path }));
  const rows = log.list("f.fn", everything).map(buildCallRow);
  expect(rows.map(({ id, callId, path }) => [id, callId, path])).toEqual([
    ["same~3", "same", "/3"],
    ["same~2", "same", "/2"],
    ["same", undefined, "/1"],
  ]);
  expect(log.find("same~2")?.record.path).toBe("/2");
});

test("a row: phases that are as long as the call, how its replica came up, and whose it was", () => {
  const log = makeLog();
  const record = ended(
    {
      cold: true,
      functionVersion: "v2",
      replica: "10.0.0.1:8080",
      startup: { scheduled: 5, started: 40, listening: 200, offered: 210 },
    },
    { kind: "stored", headers: { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" } },
  );
  record.requestHeaders = ["Ce-Id", "1", "X-Call-Id", "c"];
  log.add(record);
  const detail = buildCallDetail(log.list("f.fn", everything)[0] as Parameters<typeof buildCallDetail>[0]);
  expect(detail).toMatchObject({
    function: "f",
    namespace: "fn",
    version: "v2",
    replica: "10.0.0.1:8080",
    path: "/function/f/a",
    durationMs: 6,
    cold: true,
    asynchronous: true,
    event: true,
    phases: [
      { name: "wait", ms: 1 },
      { name: "connect", ms: 1 },
      { name: "function", ms: 3 },
      { name: "answer", ms: 1 },
    ],
    startup: [
      { name: "scheduled", ms: 5 },
      { name: "started", ms: 35 },
      { name: "listening", ms: 160 },
      { name: "offered", ms: 10 },
    ],
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  });
  expect(Math.abs(detail.at - Date.now())).toBeLessThan(60_000);
});

test("one that was refused while it waited has waited, and no more", () => {
  const record = ended({ status: 503, errorCode: "cannot_start", sentAt: undefined, connectedAt: undefined });
  const log = makeLog();
  log.add(Object.assign(record, { firstByteAt: undefined }));
  const row = buildCallRow(log.list("f.fn", everything)[0] as Parameters<typeof buildCallRow>[0]);
  expect([row.error, row.phases]).toEqual(["cannot_start", [{ name: "wait", ms: 6 }]]);
});

test.each([
  ["authorization", "Basic dXNlcjpwYXNz"],
  ["cookie", "a=b"],
  ["set-cookie", "a=b; HttpOnly"],
  ["x-api-key", "k3y"],
  ["proxy-authorization", "Bearer a"],
  ["x-hub-signature-256", "sha256=ab"],
  ["x-faaslane-session", "Xy12"],
  ["x-faaslane-delivery", "t=1,v1=ab"],
  ["x-anything", "Bearer abc"],
  ["referer", "https://a.example/b?code=1"],
  ["location", "/next?state=secret"],
])("the value of %s is not shown", (name, value) => {
  const [shown = ""] = Object.values(shownHeaders([name.toUpperCase(), value]));
  expect(shown).toMatch(/\[redacted\]/);
  expect(shown).not.toContain(value);
});

test("headers that come several times are together, by lower-case name", () => {
  expect(shownHeaders({ Accept: ["a", "b"], "x-b": "c" })).toEqual({ accept: "a, b", "x-b": "c" });
});

let gateway: GuardedGateway;
beforeAll(async () => {
  gateway = await GuardedGateway.open();
});
afterAll(() => gateway.close());

async function ask<T>(path: string): Promise<T> {
  const answer = await fetch(gateway.url + path);
  expect(answer.status).toBe(200);
  return (await answer.json()) as T;
}

test("through a gateway: once somebody has looked, calls are there with their headers, without their secrets", async () => {
  const name = gateway.deploy({});
  const list = (preset = "all") => ask<CallsAnswer>(`/ui/api/calls?function=${name}&preset=${preset}`);
  await eventually("it is called", async () => (await fetch(`${gateway.url}/function/${name}/before`)).ok);
  expect((await list()).calls).toEqual([]);
  gateway.answerHeaders = { "x-told": "yes", "set-cookie": "secret=1" };
  const headers = {
    "x-call-id": "mine",
    authorization: "Bearer secret",
    "x-given": "yes",
    "content-type": "text/plain",
  };
  const init = { method: "POST", headers, body: "four" };
  await (await fetch(`${gateway.url}/function/${name}/a?password=secret`, init)).text();
  const { calls, since } = await eventually("the call is there", async () => {
    const answer = await list();
    return answer.calls.length > 0 && answer;
  });
  expect(calls).toHaveLength(1);
  expect(calls[0]).toMatchObject({
    id: "mine",
    function: name,
    status: 200,
    method: "POST",
    path: `/function/${name}/a`,
    cold: false,
    asynchronous: false,
    requestBytes: 4,
    responseBytes: 2,
  });
  expect(Math.abs(since - Date.now())).toBeLessThan(60_000);
  expect((await list("errors")).calls).toEqual([]);
  const detail = await ask<CallDetail>("/ui/api/calls/mine");
  expect(detail.requestHeaders).toMatchObject({ "x-given": "yes", authorization: "[redacted]", "x-call-id": "mine" });
  expect(detail.responseHeaders).toMatchObject({ "x-told": "yes", "set-cookie": "[redacted]" });
  expect(JSON.stringify(detail)).not.toContain("secret");
  expect(detail.phases.map((phase) => phase.name)).toEqual(["wait", "connect", "function", "answer"]);
});

import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import type { CallDetail, CallsAnswer, SeriesAnswer } from "../../contract/ui/series.ts";
import { CallChoice } from "../../gateway/telemetry/call-choice.ts";
import { ObservedCall } from "../../gateway/telemetry/call-record.ts";
import { CallLog } from "../../gateway/ui/live/call-log.ts";
import { decodePoints, mergeCalls, pickCall, readQuestion } from "../../gateway/ui/live/other-gateways.ts";
import { SeriesBook } from "../../gateway/ui/live/series-book.ts";
import { SeriesReader } from "../../gateway/ui/live/series-text.ts";
import { basicAuthHeader } from "../../kit/basic-auth.ts";
import { Counted } from "../support/counted-function.ts";
import { eventually } from "../support/eventually.ts";
import { GuardedGateway } from "../support/guarded-gateway.ts";
import { rawRequest } from "../support/raw-http.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** What the dashboard is told, and who asks for it how. */
const LOGIN = { user: "admin", password: "pass word" };
const authorization = basicAuthHeader(LOGIN);
let gateway: GuardedGateway;
let name: string;

beforeAll(async () => {
  gateway = await GuardedGateway.open({}, LOGIN);
  name = gateway.deploy({});
  await eventually("it is called", async () => (await fetch(`${gateway.url}/function/${name}`)).ok);
});
afterAll(() => gateway.close());

async function ask(path: string, headers: Record<string, string> = { authorization }) {
  const answer = await fetch(gateway.url + path, { headers });
  return { status: answer.status, code: answer.headers.get(ERROR_HEADER), text: await answer.text() };
}

test.each([
  ["since=yesterday", "since: must be a whole number of milliseconds since 1970"],
  ["since=-1", "since: must be a whole number of milliseconds since 1970"],
  ["since=1e9", "since: must be a whole number of milliseconds since 1970"],
  ["since=9999999999999999999", "since: must be a whole number of milliseconds since 1970"],
  ["until=NaN", "until: must be a whole number of milliseconds since 1970"],
  ["since=5&until=5", "since: must be before until"],
  ["since=999999999999999", "since: must be before until"],
  ["names=calls,__proto__", "names: must be some of calls, errors"],
  ["names=,", "names: must be some of calls, errors"],
  ["points=1", "points: must be a whole number from 2 to 10080"],
  ["points=1e9", "points: must be a whole number from 2 to 10080"],
  ["function=../etc", "function: must be name or name.namespace"],
  ["function=f&step=1", "step: is unknown"],
  ["namespace=..", "namespace: must be the name of one"],
])("series with %s are refused, saying why", async (query, why) => {
  const { status, code, text } = await ask(`/ui/api/series?${query}`);
  expect([status, code]).toEqual([400, "invalid_request"]);
  expect(text).toContain(why);
});

test.each([
  ["", "function: must be name or name.namespace"],
  ["function=%00", "function: must be name or name.namespace"],
  ["function=f&preset=worst", "preset: must be one of all, errors, slow, cold"],
  ["function=f&preset=constructor", "preset: must be one of all, errors, slow, cold"],
  ["function=f&before=now", "before: must be what the page before has as next"],
  ["function=f&before=-1", "before: must be what the page before has as next"],
  ["function=f&limit=0", "limit: must be a whole number from 1 to 500"],
  ["function=f&limit=501", "limit: must be a whole number from 1 to 500"],
  ["function=f&id=1", "id: is unknown"],
])("calls with %j are refused, saying why", async (query, why) => {
  const { status, code, text } = await ask(`/ui/api/calls?${query}`);
  expect([status, code]).toEqual([400, "invalid_request"]);
  expect(text).toContain(why);
});

test("functions and calls that nobody has are not found", async () => {
  for (const path of [
    "/ui/api/series?function=none",
    "/ui/api/calls?function=none",
    "/ui/api/calls?function=constructor",
  ]) {
    expect([path, (await ask(path)).code]).toEqual([path, "unknown_function"]);
  }
  for (const id of ["none", "__proto__", encodeURIComponent("../../x"), "x".repeat(8_000), "%00"]) {
    expect((await ask(`/ui/api/calls/${id}`)).code).toBe("unknown_call");
  }
  expect((await ask("/ui/api/calls/%E0%A4%A")).status).toBe(400);
});

test("spans of a thousand years and of none cost no more than a week", async () => {
  for (const query of ["since=0", "since=0&until=999999999999999", "since=1&until=2"]) {
    const { status, text } = await ask(`/ui/api/series?function=${name}&names=calls&${query}`);
    expect(status).toBe(200);
    expect((JSON.parse(text) as SeriesAnswer).series.calls?.length).toBeLessThan(10_700);
  }
});

test.each([
  ["nothing", {}],
  ["a wrong password", { authorization: basicAuthHeader({ user: "admin", password: "no" }) }],
  ["a session that is none", { "x-faaslane-session": "guess", cookie: "fl_session=guess" }],
  ["a cookie alone", { cookie: "fl_session=guess" }],
])("whoever shows %s learns nothing of the past", async (_what, headers) => {
  for (const path of [
    "/ui/api/series",
    `/ui/api/series?function=${name}`,
    `/ui/api/calls?function=${name}`,
    "/ui/api/calls/x",
  ]) {
    const { status, text } = await ask(path, headers as Record<string, string>);
    expect([path, status]).toEqual([path, 401]);
    expect(text).not.toContain('calls":');
  }
});

test("they change nothing by other methods", async () => {
  for (const path of ["/ui/api/series", "/ui/api/calls", "/ui/api/calls/x"]) {
    const answer = await fetch(gateway.url + path, { method: "DELETE", headers: { authorization } });
    expect([path, answer.status]).toEqual([path, 405]);
  }
});

async function lastCall(): Promise<CallDetail> {
  const { calls } = JSON.parse((await ask(`/ui/api/calls?function=${name}&limit=1`)).text) as CallsAnswer;
  return JSON.parse((await ask(`/ui/api/calls/${encodeURIComponent(calls[0]?.id ?? "")}`)).text) as CallDetail;
}

test("a function whose headers are huge has few of them kept", async () => {
  await ask(`/ui/api/calls?function=${name}`);
  gateway.answerHeaders = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`x-large-${at}`, "v".repeat(300)]));
  await (await fetch(`${gateway.url}/function/${name}/huge`)).text();
  gateway.answerHeaders = {};
  const detail = await eventually("it is kept", async () => {
    const last = await lastCall();
    return last.path?.endsWith("/huge") && last;
  });
  expect(JSON.stringify(detail.responseHeaders).length).toBeLessThan(6_000);
});

test("ids, paths and headers of a caller that are script or have secrets come out as text, without those", async () => {
  const evil = "<script>alert(1)</script>";
  const target = `/function/${name}/${encodeURI(evil)}?token=abc123`;
  const lines = [
    `GET ${target} HTTP/1.1`,
    "Host: a",
    `X-Call-Id: ${evil}`,
    "X-Api-Key: abc123",
    "__proto__: x",
    "Connection: close",
  ];
  await rawRequest(gateway.port, `${lines.join("\r\n")}\r\n\r\n`);
  const detail = await eventually("it is kept", async () => {
    const last = await lastCall();
    return last.id === evil && last;
  });
  expect(JSON.stringify(detail)).not.toContain("abc123");
  expect(detail.requestHeaders?.["x-api-key"]).toBe("[redacted]");
});

test("a caller's id of thousands of characters is cut off, and finds its call", async () => {
  const id = "i".repeat(4_000);
  await new Promise((resolve, reject) => {
    const headers = { "x-call-id": id };
    request(`${gateway.url}/function/${name}/long`, { headers }, (res) => res.resume().on("end", resolve))
      .on("error", reject)
      .end();
  });
  const detail = await eventually("it is kept", async () => {
    const last = await lastCall();
    return last.path?.endsWith("/long") && last;
  });
  expect(detail.id).toHaveLength(256);
});

test("thousands of functions that come and go leave nothing behind", () => {
  const book = new SeriesBook({ now: 0 });
  const log = new CallLog({ mode: "always", choice: new CallChoice() });
  let now = 0;
  for (let round = 0; round < 20; round++) {
    const functions = Array.from({ length: 250 }, (_, at) => new Counted(`f${round * 250 + at}.fn`));
    for (let look = 0; look < 2; look++) {
      now += 1_000;
      for (const each of functions) each.calls(1);
      book.sample(functions, now);
    }
    for (const { qualifiedName } of functions) {
      const record = new ObservedCall(
        { kind: "call", method: "GET", url: "/", headers: {}, client: undefined },
        undefined,
        now,
      );
      log.add(Object.assign(record, { functionName: qualifiedName, endedAt: now + 1, status: 200 }));
    }
    expect([...book.entries()].length).toBe(252);
    log.look(new Map(), (name) => functions.some(({ qualifiedName }) => qualifiedName === name));
    expect(log.size).toBeLessThanOrEqual(250);
  }
  book.sample([], now + 1_000);
  log.look(new Map(), () => false);
  expect([[...book.entries()].length, log.size, log.bytes]).toEqual([1, 0, 0]);
});

test("files of random bytes are refused, whatever they are", () => {
  const random = seededRandom(9);
  for (let round = 0; round < 300; round++) {
    const file = Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256)));
    if (round % 2 === 0 && file.length > 8) file.writeUInt32LE(file.length - 8);
    expect(() => new SeriesReader(file).preface()).toThrow();
  }
});

test.each([
  [null],
  [{ kind: "series", key: "f.fn", seconds: 7, from: 0, until: 1 }],
  [{ kind: "series", key: "f.fn", seconds: 1, from: 0, until: 1e12 }],
  [{ kind: "series", key: "f.fn", seconds: 1, from: -1, until: 1 }],
  [{ kind: "calls", name: "f.fn", preset: "all", limit: 1e9 }],
  [{ kind: "call", id: "x".repeat(5_000) }],
  [{ kind: "drop", everything: true }],
])("another gateway's question %j is none", (question) => {
  expect(readQuestion(question)).toBeUndefined();
});

test("answers of other gateways that are none change nothing", () => {
  const own = { calls: [], since: 1 };
  const bad = [
    null,
    1,
    "x",
    {},
    { calls: "many", since: 1 },
    { calls: new Array(10_000).fill({ id: "a", at: 1 }), since: 1 },
  ];
  expect(mergeCalls(own, bad, { limit: 5 })).toEqual(own);
  expect(pickCall([null, {}, { id: 1 }])).toBeUndefined();
  const points = [
    null,
    {},
    { from: 0, points: 1e9, text: "" },
    { from: 0, points: 4, text: "////" },
    { from: -1, points: 4, text: "" },
  ];
  expect(points.map(decodePoints)).toEqual(points.map(() => undefined));
});

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type LedgerServer, startLedgerServer } from "../support/events/ledger-server.ts";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";

/** What the ledger is asked, and what events bring it to tell, by those who mean harm. */
let server: LedgerServer;

beforeAll(async () => {
  server = await startLedgerServer(["x-customer", "customer.iban"]);
});
afterAll(async () => await server?.[Symbol.asyncDispose]());

async function ask(path: string, init?: RequestInit) {
  const answer = await fetch(server.url + path, { ...init, signal: AbortSignal.timeout(30_000) });
  return { status: answer.status, text: await answer.text() };
}

const post = (body: string) =>
  ask("/system/replays", { method: "POST", body, headers: { "content-type": "application/json" } });

async function settled(ref: string): Promise<void> {
  await eventually("it is delivered", async () =>
    (await ask(`/system/events/ref:${ref}`)).text.includes('"delivered"'),
  );
}

test("secrets in attributes, headers, reasons and data of every kind are told by no route", async () => {
  const secret = "hunter2";
  const data = [
    `{"password":"${secret}-1","a":[{"api_key":"${secret}-2"}],"customer":{"iban":"${secret}-3"},"url":"https://u:${secret}-4@h/"}`,
    `a=1&token=${secret}-5`,
    `see https://me:${secret}-6@host/ and ?access_token=${secret}-7`,
  ];
  const types = ["application/json", "application/x-www-form-urlencoded", "text/plain"];
  const refs = await server.append(
    ...data.map((text, place) => ({
      attributes: {
        id: `secret-${place}`,
        token: `${secret}-8`,
        subject: `https://u:${secret}-9@h/`,
        datacontenttype: types[place] as string,
      },
      data: text,
    })),
  );
  for (const ref of refs) {
    await settled(ref);
    for (const path of [
      `/system/events/ref:${ref}`,
      `/system/events/ref:${ref}/why`,
      "/system/events",
      "/system/events?id=secret-0",
    ]) {
      const { status, text } = await ask(path);
      expect([path, status, text.includes(secret)]).toEqual([path, 200, false]);
    }
  }
});

test.each([
  ["statements of SQL", "' OR 1=1 --"],
  ["wildcards of SQL", "%"],
  ["a NUL", "a\u0000b"],
  ["half of a character", "\ud800"],
  ["a path upwards", "../../etc/passwd"],
  ["members of every object", "__proto__"],
  ["8,000 characters", "x".repeat(8_000)],
  ["nothing but blanks", "   "],
])("names and filters with %s find nothing, and break nothing", async (_what, text) => {
  const name = encodeURIComponent(text.toWellFormed());
  for (const path of [
    `/system/events/${name}`,
    `/system/events/${name}/why`,
    `/system/replays/${name}`,
    `/system/events/ref:${name}`,
  ]) {
    expect([400, 404]).toContain((await ask(path)).status);
  }
  for (const filter of ["id", "source", "type", "trigger", "broker", "namespace", "state", "since", "after", "limit"]) {
    const { status, text: body } = await ask(`/system/events?${filter}=${name}`);
    expect([filter, [200, 400].includes(status)]).toEqual([filter, true]);
    if (status === 200 && filter !== "after") expect(JSON.parse(body).items).toEqual([]);
  }
});

test("parameters in forms that only some parsers know mean nothing else", async () => {
  for (const query of [
    "limit[]=1",
    "limit=1&limit=x",
    "state[a]=dead",
    "limit=1e3",
    "limit=0x10",
    "limit=-1",
    "since=-1h",
    "since=1e400",
    "follow=1",
  ]) {
    expect([query, (await ask(`/system/events?${query}`)).status]).toEqual([query, 400]);
  }
});

test.each<[what: string, body: string]>([
  ["is deep", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
  ["is a megabyte of brackets", "[".repeat(1_000_000)],
  ["has a hundred thousand states", JSON.stringify({ states: Array(100_000).fill("dead") })],
  ["has a name that is a path", '{"all":true,"name":"../../x"}'],
  ["has members of every object", '{"all":true,"__proto__":{"to":"x"}}'],
  ["is no object", '"all"'],
  ["goes to another replay", '{"all":true,"to":"replay/openfaas-fn/x"}'],
  ["goes out of its path", '{"all":true,"to":"function/../../secret"}'],
  ["has no end to its rate", '{"all":true,"rate":1e308}'],
  ["is not JSON", "{all:true}"],
])("a replay whose request %s is refused", async (_what, body) => {
  expect([400, 413]).toContain((await post(body)).status);
  expect((await ask("/system/replays")).text).toBe("[]");
});

test.each<[what: string, data: string | Buffer, contentType: string]>([
  ["a megabyte of brackets", "[".repeat(1_000_000), "application/json"],
  ["JSON as deep as it may be", `${"[".repeat(100)}1${"]".repeat(100)}`, "application/json"],
  [
    "a hundred thousand fields",
    `{${Array.from({ length: 60_000 }, (_, n) => `"f${n}":${n}`).join(",")}}`,
    "application/json",
  ],
  ["what looks like tokens without end", "eyJ".repeat(300_000), "text/plain"],
  ["what looks like parameters without end", "?a=".repeat(300_000), "text/plain"],
  ["no text, though it says so", Buffer.alloc(900_000, 0xff), "text/plain; charset=utf-8"],
  ["members of every object", '{"__proto__":{"password":"x"},"constructor":1}', "application/json"],
])("data that is %s is shown, and in time", async (_what, data, contentType) => {
  const [ref = ""] = await server.append({ attributes: { id: "data", datacontenttype: contentType }, data });
  await settled(ref);
  const { status, text } = await ask(`/system/events/ref:${ref}`);
  expect(status).toBe(200);
  expect(text.length).toBeLessThan(500_000);
  expect((await ask(`/system/events/ref:${ref}/why`)).status).toBe(200);
});

test("followers beyond the limit are refused, and those who leave make room", async () => {
  const leave = new AbortController();
  const open = () => fetch(`${server.url}/system/events?follow=true`, { signal: leave.signal });
  const followers = await Promise.all(Array.from({ length: 50 }, open));
  expect(followers.every(({ status }) => status === 200)).toBe(true);
  expect((await ask("/system/events?follow=true")).status).toBe(429);
  leave.abort();
  await eventually("there is room again", async () => {
    const again = new AbortController();
    const { status } = await fetch(`${server.url}/system/events?follow=true`, { signal: again.signal });
    again.abort();
    return status === 200;
  });
});

test("a flood of replays ends at the limit, those that have ended make room, and one name is one replay", async () => {
  const slow = JSON.stringify({ all: true, rate: 0.001, to: "f" });
  await server.append(...Array.from({ length: 3 }, (_, n) => ({ attributes: { id: `flood-${n}` } })));
  const same = await Promise.all(
    Array.from({ length: 10 }, () => post(JSON.stringify({ all: true, rate: 0.001, to: "f", name: "one" }))),
  );
  expect(same.map(({ status }) => status).sort()).toEqual([202, ...Array(9).fill(409)]);
  const answers = await Promise.all(Array.from({ length: 230 }, () => post(slow)));
  const statuses = answers.map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([202, 429]));
  const names = (JSON.parse((await ask("/system/replays")).text) as { name: string }[]).map(({ name }) => name);
  await Promise.all(names.map((name) => ask(`/system/replays/${name}`, { method: "DELETE" })));
  expect((await post(slow)).status).toBe(202);
}, 60_000);

test("other methods than those that there are get no further", async () => {
  for (const path of ["/system/events", "/system/events/1", "/system/events/1/why", "/system/replays/1"]) {
    for (const method of ["PUT", "PATCH", "POST", "HEAD"]) {
      expect([method, path, (await ask(path, { method })).status]).toEqual([method, path, 405]);
    }
  }
});

test("requests that HTTP does not know are refused before they are looked at", async () => {
  const port = Number(new URL(server.url).port);
  const answer = await rawRequest(port, "GET /system/events/%zz HTTP/1.1\r\nHost: a\r\n\r\n");
  expect([400, 404]).toContain(answer?.status);
});

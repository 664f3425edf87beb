import { request } from "node:http";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import type { LogMessage } from "../../contract/logs.ts";
import { eventually } from "../support/eventually.ts";
import { FakeBackend } from "./fake-backend.ts";
import { LineReader, serveProvider, type TestProvider } from "./support.ts";

let backend: FakeBackend;
let provider: TestProvider;
beforeEach(async () => {
  backend = new FakeBackend();
  provider = await serveProvider({ backend });
  await provider.call("POST", "/system/functions", { service: "shout", image: "shout:1" });
});
afterEach(() => provider.close());

const line = (text: string): LogMessage => ({
  name: "shout",
  namespace: "openfaas-fn",
  instance: "shout-1",
  timestamp: "2026-11-21T00:24:43Z",
  text,
});

test("logs are NDJSON and end by themselves", async () => {
  backend.logLines = [line("one\n"), line("two\r\n\u2028")];
  const response = await provider.call("GET", "/system/logs?name=shout");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  expect(await new LineReader(response).rest()).toEqual(backend.logLines);
});

test("a function without any output is an empty stream", async () => {
  const response = await provider.call("GET", "/system/logs?name=shout");
  expect(`${response.status} ${await response.text()}`).toBe("200 ");
});

const asked = { name: "shout", namespace: "openfaas-fn", follow: false };

test.each<[query: string, expected: object]>([
  ["name=shout&follow=false&tail=-1", asked],
  ["name=shout&tail=0", asked],
  ["name=shout&tail=3", { ...asked, tail: 3 }],
  ["name=shout&tail=1&tail=2", { ...asked, tail: 2 }],
  ["name=shout&instance=shout-1", { ...asked, instance: "shout-1" }],
  ["name=shout&since=2026-11-21T00:24:43Z", { ...asked, since: new Date("2026-11-21T00:24:43Z") }],
  ["name=shout&since=2026-11-21T02:24:43.5%2B02:00", { ...asked, since: new Date("2026-11-21T00:24:43.500Z") }],
  ["name=shout&follow=maybe", asked],
])("logs?%s", async (query, expected) => {
  await (await provider.call("GET", `/system/logs?${query}`)).text();
  expect(backend.logQueries).toEqual([expected]);
});

test.each<[query: string, expected: string]>([
  ["", "422 could not parse the log request: name: is required\n"],
  ["name=shout&tail=x", "422 could not parse the log request: tail: must be a whole number\n"],
  ["name=shout&tail=1.5", "422 could not parse the log request: tail: must be a whole number\n"],
  [
    "name=shout&since=yesterday",
    "422 could not parse the log request: since: must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z\n",
  ],
  [
    "name=shout&since=2026-13-45T00:00:00Z",
    "422 could not parse the log request: since: must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z\n",
  ],
  ["name=nope&follow=true", "404 function nope.openfaas-fn not found\n"],
])("bad logs?%s", async (query, expected) => {
  const response = await provider.call("GET", `/system/logs?${query}`);
  expect(`${response.status} ${await response.text()}`).toBe(expected);
});

test.each([["true"], ["1"], ["t"]])("follow=%s sends the head at once and every line as it appears", async (follow) => {
  const response = await provider.call("GET", `/system/logs?name=shout&follow=${follow}`);
  expect(response.status).toBe(200);
  const lines = new LineReader(response);
  await eventually("the backend is followed", () => backend.followers.length === 1);
  for (const text of ["one\n", "two\n"]) {
    backend.writeLine(line(text));
    expect(await lines.next()).toEqual(line(text));
  }
  await lines.leave();
  await eventually("the backend is told that the reader left", () => backend.followers[0]?.aborted);
});

test("following ends when the provider closes, and after the longest time allowed", async () => {
  const response = await provider.call("GET", "/system/logs?name=shout&follow=true");
  const rest = new LineReader(response).rest();
  await provider.close();
  expect(await rest).toEqual([]);

  const brief = await serveProvider({ backend, maxLogStreamMs: 20 });
  try {
    const limited = await brief.call("GET", "/system/logs?name=shout&follow=true");
    expect(await new LineReader(limited).rest()).toEqual([]);
  } finally {
    await brief.close();
  }
});

test("a failure in the middle cuts the stream, so that nobody takes it for whole", async () => {
  backend.logs = async function* () {
    yield line("one\n");
    throw new Error("disk on fire");
  };
  const response = await provider.call("GET", "/system/logs?name=shout");
  await expect(response.text()).rejects.toThrow();
  expect(provider.logged()).toContain("disk on fire");
});

test("endpoints are snapshots, a heartbeat, then changes", async () => {
  backend.point("shout", ["127.0.0.1:1"]);
  const response = await provider.call("GET", "/system/endpoints");
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  const lines = new LineReader(response);
  expect(await lines.next()).toMatchObject({ type: "snapshot", function: { name: "shout", replicas: 1 } });
  expect(await lines.next()).toEqual({ type: "heartbeat" });
  backend.point("shout", []);
  expect(await lines.next()).toMatchObject({ type: "changed", function: { name: "shout", endpoints: [] } });
  backend.forget("shout");
  expect(await lines.next()).toMatchObject({ type: "removed", function: { name: "shout" } });
  await lines.leave();
  await eventually("the backend is told that the reader left", () => backend.watchers[0]?.aborted);
});

test("endpoints have a heartbeat now and then", async () => {
  const quick = await serveProvider({ backend, heartbeatMs: 10 });
  try {
    const lines = new LineReader(await quick.call("GET", "/system/endpoints"));
    for (let beat = 0; beat < 4; beat++) expect(await lines.next()).toEqual({ type: "heartbeat" });
    await lines.leave();
  } finally {
    await quick.close();
  }
});

test("no heartbeat comes before the snapshot is whole: gateways would take what is missing for gone", async () => {
  const whole = Promise.withResolvers<void>();
  const watch = backend.watch.bind(backend);
  backend.point("shout", ["127.0.0.1:1"]);
  backend.watch = async function* (signal) {
    yield { type: "snapshot", function: backend.snapshots.get("shout") as FunctionEndpoints };
    await whole.promise;
    yield* watch(signal);
  };
  const quick = await serveProvider({ backend, heartbeatMs: 10 });
  try {
    const reader = (await quick.call("GET", "/system/endpoints")).body
      ?.pipeThrough(new TextDecoderStream())
      .getReader();
    let text = "";
    const read = async (enough: () => boolean) => {
      while (!enough()) text += (await reader?.read())?.value ?? "";
    };
    await read(() => text.split("\n").length > 6);
    expect(new Set(text.split("\n").slice(1))).toEqual(new Set([""]));
    whole.resolve();
    await read(() => text.includes("heartbeat"));
    const lines = text.split("\n").filter((line) => line !== "");
    expect(lines.map((line) => JSON.parse(line).type).slice(0, 3)).toEqual(["snapshot", "snapshot", "heartbeat"]);
    await reader?.cancel();
  } finally {
    await quick.close();
  }
});

test("a reader that stops reading is cut off instead of piling up changes", async () => {
  const quick = await serveProvider({ backend, heartbeatMs: 10 });
  try {
    const asking = request(`${quick.url}/system/endpoints`).end();
    asking.once("response", (answer) => answer.pause());
    asking.on("error", () => {});
    await eventually("the backend is watched", () => backend.watchers.length === 1);
    const many = Array.from({ length: 2000 }, (_, i) => `127.0.0.1:${i}`);
    await eventually("the stream is given up", () => {
      backend.point("shout", many);
      return backend.watchers[0]?.aborted;
    });
    asking.destroy();
  } finally {
    await quick.close();
  }
});

import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { expect, test } from "@jest/globals";
import { GatewayClient, type GatewayClientOptions } from "../../cli/client/gateway-client.ts";
import { readNdjson } from "../../cli/client/read-body.ts";
import type { FunctionDeployment } from "../../contract/functions.ts";
import { type FakeGateway, json, openFakeGateway } from "./support/fake-gateway.ts";

const clientOf = ({ url }: Pick<FakeGateway, "url">, options: Partial<GatewayClientOptions> = {}) =>
  new GatewayClient({ url, authorization: "Basic eA==", timeoutMs: 5_000, userAgent: "test", ...options });

const collect = async <T>(source: AsyncIterable<T>): Promise<T[]> => {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
};

/** A body that begins and never ends. */
async function* endless(start: string): AsyncGenerator<string> {
  yield start;
  await new Promise(() => {});
}

const forever = () => new AbortController().signal;
const deployment: FunctionDeployment = { service: "f", image: "f:latest", labels: {}, annotations: {} };

test("every request says who asks and carries the credentials; health needs none", async () => {
  await using gateway = await openFakeGateway(() => json([]));
  const client = clientOf(gateway);
  await client.listFunctions();
  await client.health();
  expect(gateway.seen.map(({ headers }) => [headers["user-agent"], headers.authorization])).toEqual([
    ["test", "Basic eA=="],
    ["test", undefined],
  ]);
});

test("queries and bodies leave out what is not given", async () => {
  await using gateway = await openFakeGateway(() => json([]));
  const client = clientOf(gateway);
  await client.listFunctions("a b");
  await client.listSecrets();
  await client.removeFunction("f");
  await client.removeFunction("f", "dev");
  await client.createFunction(deployment);
  await client.createSecret({ name: "s", value: "v", namespace: undefined });
  expect(gateway.seen.map(({ method, path, body }) => `${method} ${path} ${body}`)).toEqual([
    "GET /system/functions?namespace=a+b ",
    "GET /system/secrets ",
    'DELETE /system/functions {"functionName":"f"}',
    'DELETE /system/functions {"functionName":"f","namespace":"dev"}',
    'POST /system/functions {"service":"f","image":"f:latest","labels":{},"annotations":{}}',
    'POST /system/secrets {"name":"s","value":"v"}',
  ]);
  expect(gateway.seen.at(-1)?.headers).toMatchObject({ "content-type": "application/json", "content-length": "24" });
});

test.each<[status: number, body: string, kind: string, message: string]>([
  [401, "invalid credentials", "unauthorized", "run faaslane login"],
  [404, "", "notFound", "the gateway answered 404 Not Found"],
  [500, "it broke\n", "internal", "the gateway answered 500 Internal Server Error: it broke"],
  [503, "busy", "unavailable", "the gateway answered 503 Service Unavailable: busy"],
  [302, "", "upstream", "302 Found; the gateway is elsewhere, perhaps at http://elsewhere: name it with --gateway"],
  [403, "no", "forbidden", "403 Forbidden: no; `faaslane login` stores credentials that may do this"],
  [404, " ", "notFound", "404 Not Found; is there a gateway at this URL?"],
  [409, "", "conflict", "409 Conflict; there is one already"],
  [413, "", "tooLarge", "413 Payload Too Large; what was sent is larger"],
  [429, "", "overloaded", "429 Too Many Requests; try again in 7 s"],
  [503, "", "unavailable", "503 Service Unavailable; `faaslane ready` waits"],
])("a %i is an error of its kind", async (status, body, kind, message) => {
  await using gateway = await openFakeGateway(() => ({
    status,
    body,
    headers: { Location: "http://elsewhere", "Retry-After": "7" },
  }));
  const attempt = clientOf(gateway).listFunctions();
  await expect(attempt).rejects.toMatchObject({ kind, message: expect.stringContaining(message) });
});

test("a write's answer is for the caller to judge, but for missing credentials", async () => {
  await using gateway = await openFakeGateway(() => ({ status: 409, body: "exists" }));
  const client = clientOf(gateway);
  expect(await client.createFunction(deployment)).toEqual({
    status: 409,
    statusText: "Conflict",
    text: "exists",
    warnings: [],
  });
  gateway.respond = () => ({ status: 401 });
  await expect(client.createFunction(deployment)).rejects.toMatchObject({ kind: "unauthorized" });
});

test("an unknown function is undefined, not an error", async () => {
  await using gateway = await openFakeGateway();
  expect(await clientOf(gateway).getFunction("nothere")).toBeUndefined();
});

test("an answer that is not what the contract says is an error", async () => {
  await using gateway = await openFakeGateway(() => ({ status: 200, body: "<html>" }));
  const client = clientOf(gateway);
  await expect(client.listFunctions()).rejects.toThrow("the gateway's answer is not JSON: <html>");
  gateway.respond = () => json([{ name: 1 }]);
  await expect(client.listFunctions()).rejects.toThrow(/^function list: 0\.name: .*; 0\.image: /);
});

test("a gateway that is not there is named", async () => {
  const gateway = await openFakeGateway();
  await gateway[Symbol.asyncDispose]();
  await expect(clientOf(gateway).listFunctions()).rejects.toMatchObject({
    kind: "unavailable",
    message: expect.stringContaining(
      `cannot reach the gateway at ${gateway.url}: the connection was refused; is it running?`,
    ),
  });
});

test("a gateway that hangs up, and one that speaks no HTTP", async () => {
  await using gateway = await openFakeGateway(() => undefined);
  await expect(clientOf(gateway).listFunctions()).rejects.toThrow("it closed the connection");

  const stranger = createServer((socket) => void socket.resume().end("220 smtp.example ready\r\n")).listen(
    0,
    "127.0.0.1",
  );
  await new Promise((resolve) => stranger.once("listening", resolve));
  const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  await expect(clientOf({ url }).listFunctions()).rejects.toThrow("it does not speak HTTP");
  await new Promise((resolve) => stranger.close(resolve));
});

test("silence ends at the deadline: before the answer, and in the middle of it", async () => {
  const { promise: never } = Promise.withResolvers<undefined>();
  await using gateway = await openFakeGateway(() => never);
  const client = clientOf(gateway, { timeoutMs: 80 });
  const tooLate = { kind: "timeout", message: `the gateway at ${gateway.url} did not answer within 0.08 s` };
  await expect(client.listFunctions()).rejects.toMatchObject(tooLate);
  await expect(client.createFunction(deployment)).rejects.toMatchObject(tooLate);
  gateway.respond = () => ({ status: 200, body: endless("[") });
  await expect(client.listFunctions()).rejects.toMatchObject(tooLate);
});

test("an answer that breaks off is no whole answer", async () => {
  await using gateway = await openFakeGateway(() => ({ status: 200, headers: { "Content-Length": "10" }, body: "[]" }));
  await expect(clientOf(gateway).listFunctions()).rejects.toThrow("it closed the connection");
});

test("an answer without end stops at the limit", async () => {
  const chunk = "x".repeat(1024 * 1024);
  await using gateway = await openFakeGateway(() => ({ status: 200, body: Array.from({ length: 34 }, () => chunk) }));
  await expect(clientOf(gateway).listFunctions()).rejects.toMatchObject({ kind: "tooLarge" });
});

test("requests are traced without credentials or bodies", async () => {
  await using gateway = await openFakeGateway(() => ({ status: 202 }));
  const lines: string[] = [];
  await clientOf(gateway, { trace: (line) => lines.push(line) }).createSecret({ name: "s", value: "hunter2" });
  expect(lines).toEqual([expect.stringMatching(/^POST http:\/\/127\.0\.0\.1:\d+\/system\/secrets → 202 \(\d+ ms\)$/)]);
});

test("logs come line by line, however the stream was cut", async () => {
  const message = { name: "f", namespace: "n", instance: "i", timestamp: "2026-01-31T12:00:00Z" };
  const lines = ["one\n", "zwölf\n", "three"].map((text) => JSON.stringify({ ...message, text }));
  const body = `${lines.join("\n")}`;
  const cuts = [body.slice(0, 10), body.slice(10, 150), body.slice(150)];
  await using gateway = await openFakeGateway(() => ({ status: 200, body: cuts }));
  const request = { name: "f", namespace: "n", since: "2026-01-31T00:00:00Z", tail: 5, follow: true };
  const texts = (await collect(clientOf(gateway).logs(request, forever()))).map(({ text }) => text);
  expect(texts).toEqual(["one\n", "zwölf\n", "three"]);
  expect(gateway.seen[0]?.path).toBe(
    "/system/logs?follow=true&name=f&namespace=n&since=2026-01-31T00%3A00%3A00Z&tail=5",
  );
});

test("whoever reads logs can leave at any time", async () => {
  const line = JSON.stringify({ name: "f", namespace: "n", instance: "i", timestamp: "", text: "one" });
  await using gateway = await openFakeGateway(() => ({ status: 200, body: endless(`${line}\n`) }));
  const request = { name: "f", tail: -1, follow: true };
  const seen: string[] = [];
  const abort = new AbortController();
  for await (const { text } of clientOf(gateway).logs(request, abort.signal)) {
    seen.push(text);
    abort.abort();
  }
  expect(seen).toEqual(["one"]);

  const { promise: never } = Promise.withResolvers<undefined>();
  gateway.respond = () => never;
  const second = new AbortController();
  const reading = collect(clientOf(gateway).logs(request, second.signal));
  second.abort();
  expect(await reading).toEqual([]);
});

test("characters may be cut in two between chunks, lines may be empty", async () => {
  const bytes = Buffer.from('{"a":"ö"}\n\n \r\n["x"]');
  const source = (async function* () {
    for (const byte of bytes) yield Buffer.of(byte);
  })();
  expect(await collect(readNdjson(source, 100))).toEqual([{ a: "ö" }, ["x"]]);
});

test.each([
  ["{", "is not JSON"],
  ["x".repeat(200), "too long"],
])("a stream of %.5s… is refused", async (text, message) => {
  const source = (async function* () {
    yield Buffer.from(text);
  })();
  await expect(collect(readNdjson(source, 100))).rejects.toThrow(message);
});

test("a build context is uploaded as a form, and events come as they are sent", async () => {
  const events = [
    { status: "in_progress", log: ["one", "two"] },
    { status: "success", image: "f:latest@sha256:00" },
  ];
  await using gateway = await openFakeGateway(() => ({
    status: 200,
    body: events.map((event) => `${JSON.stringify(event)}\n`),
  }));
  const context = (async function* () {
    yield Buffer.from("first ");
    yield Buffer.from("second");
  })();
  const config = { image: "f:latest", buildArgs: { A: "ä" } };
  expect(await collect(clientOf(gateway).build(context, config, forever()))).toEqual(events);

  const [request] = gateway.seen;
  expect(request?.method).toBe("POST");
  expect(request?.path).toBe("/system/build");
  const headers = { "Content-Type": request?.headers["content-type"] ?? "" };
  const form = await new Response(request?.body as Buffer<ArrayBuffer>, { headers }).formData();
  expect(JSON.parse(form.get("config") as string)).toEqual(config);
  const file = form.get("context") as File;
  expect([file.name, await file.text()]).toEqual(["context.tar.gz", "first second"]);
});

test("a context that cannot be read ends the upload with its own error", async () => {
  await using gateway = await openFakeGateway(() => json({}));
  const context = (async function* () {
    yield Buffer.from("first");
    throw new Error("cannot read handler.js");
  })();
  const building = collect(clientOf(gateway).build(context, { image: "f" }, forever()));
  await expect(building).rejects.toThrow("cannot read handler.js");
});

test("a builder's refusal is told", async () => {
  await using gateway = await openFakeGateway(() => ({ status: 413, body: "the context is too large" }));
  const context = (async function* () {
    yield Buffer.from("x");
  })();
  await expect(collect(clientOf(gateway).build(context, { image: "f" }, forever()))).rejects.toMatchObject({
    kind: "tooLarge",
    message: "the gateway answered 413 Payload Too Large: the context is too large",
  });
});

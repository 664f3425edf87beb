import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ERROR_CODES, ERROR_HEADER, type ErrorCode } from "../../contract/error-codes.ts";
import { FaasError, STATUS } from "../../contract/errors.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";

const credentials = { user: "admin", password: "a long password" };
const login = `Basic ${Buffer.from("admin:a long password").toString("base64")}`;

let provider: FakeProvider;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let gateway: OpenGateway;
let replica: Server;

beforeAll(async () => {
  folder = await temporaryFolder();
  provider = await FakeProvider.open();
  provider.respond = (_request, res) => res.writeHead(404).end();
  replica = createServer((req, res) => {
    if (req.url === "/break") req.socket.destroy();
    else res.setHeader(ERROR_HEADER, "disk_full").writeHead(503).end("the function's own");
  });
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "data"),
    scale_up_timeout: "300ms",
    drain_timeout: "2s",
    async_max_body: "1000",
  });
  gateway = await openGateway(config, credentials, createLogger("silent"));
  await eventually("the gateway follows the provider", () => provider.streamCount === 1);
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  provider.put({ name: "f", endpoints: [{ address, instance: "a", state: "ready" }] });
  provider.put({ name: "asleep", endpoints: [] });
  await eventually("f is known", async () => (await call("/function/f")).status === 503);
});

afterAll(async () => {
  await gateway.close();
  await provider.close();
  replica.closeAllConnections();
  replica.close();
  await folder.remove();
});

const call = (path: string, init?: RequestInit) => fetch(gateway.url + path, { redirect: "manual", ...init });
const alert = (type: string): RequestInit => ({
  method: "POST",
  body: "{",
  headers: { authorization: login, "content-type": type },
});
const withLogin = { headers: { authorization: login } };

test.each<[cause: string, path: string, init: RequestInit, code: ErrorCode]>([
  ["a path that there is not", "/nowhere", {}, "unknown_route"],
  ["no name of a function", "/function/", {}, "unknown_route"],
  ["a method that a route does not take", "/", { method: "POST" }, "method_not_allowed"],
  ["a method that functions do not take", "/function/f", { method: "PROPFIND" }, "method_not_allowed"],
  ["a method that calls do not take", "/async-function/x", { method: "PUT" }, "method_not_allowed"],
  ["no login", "/system/functions", {}, "unauthorized"],
  ["a page of another site", "/system/functions", { headers: { "sec-fetch-site": "cross-site" } }, "forbidden"],
  ["an unknown function", "/function/nobody", {}, "unknown_function"],
  ["an unknown function, asynchronously", "/async-function/nobody", { method: "POST" }, "unknown_function"],
  ["an unknown call", "/async-function/x", {}, "unknown_call"],
  ["no replica in time", "/function/asleep", {}, "no_replica_ready"],
  ["a connection that breaks", "/function/f/break", {}, "replica_unreachable"],
  ["a body over the limit", "/async-function/f", { method: "POST", body: "x".repeat(1001) }, "too_large"],
  [
    "a header that breaks a rule",
    "/async-function/f",
    { method: "POST", headers: { "x-callback-url": "no url" } },
    "invalid_request",
  ],
  ["a function that is not scaled", "/system/scaling/nobody", withLogin, "not_found"],
  ["an alert that cannot be read", "/system/alert", alert("application/json"), "invalid_request"],
  ["an alert that is no JSON", "/system/alert", alert("text/plain"), "unsupported_media_type"],
])("%s has a code of its own", async (_cause, path, init, code) => {
  const answer = await call(path, init);
  expect([answer.headers.get(ERROR_HEADER), answer.status]).toEqual([code, STATUS[ERROR_CODES[code]]]);
});

test("a function's answer never has a code, though it sets one", async () => {
  const answer = await call("/function/f");
  expect([answer.status, await answer.text()]).toEqual([503, "the function's own"]);
  expect(answer.headers.has(ERROR_HEADER)).toBe(false);
});

test("the body is JSON for those who ask for nothing else, and OpenFaaS's text for others", async () => {
  const json = await call("/nowhere", { headers: { accept: "application/json" } });
  expect([json.status, await json.json()]).toEqual([
    404,
    { code: "unknown_route", kind: "notFound", message: "404 page not found" },
  ]);
  for (const accept of ["*/*", "application/json, text/plain;q=0.9"]) {
    expect(await (await call("/nowhere", { headers: { accept } })).text()).toBe("404 page not found\n");
  }
});

test("the root tells programs what there is, without its release, and sends people to the pages", async () => {
  const headers = { accept: "application/json" };
  const told = await call("/", { headers });
  const text = await told.text();
  expect(JSON.parse(text)).toMatchObject({ name: "faaslane", links: { functions: "/system/functions" } });
  expect(text).not.toMatch(/\d\.\d/);
  const head = await call("/", { method: "HEAD", headers });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, String(text.length)]);
  expect([(await call("/")).status, (await call("/", { method: "HEAD" })).status]).toEqual([307, 307]);
});

test("docs/errors.md lists every code with its status, and no other", () => {
  const rows = readFileSync(join(ROOT, "docs/errors.md"), "utf8").matchAll(/^\| `([a-z_]+)` \| (\d+) \|/gm);
  const documented = [...rows].map(([, code, status]) => [code, Number(status)]);
  expect(documented).toEqual(Object.entries(ERROR_CODES).map(([code, kind]) => [code, STATUS[kind]]));
});

test("every kind of failure has a code of its own where no other is given", () => {
  const codes = (Object.keys(STATUS) as (keyof typeof STATUS)[]).map((kind) => [kind, new FaasError(kind, "").code]);
  expect(codes.filter(([kind, code]) => ERROR_CODES[code as ErrorCode] !== kind)).toEqual([]);
  expect(new Set(codes.map(([, code]) => code)).size).toBe(codes.length);
});

test("each code is given to failures of its own kind only", () => {
  const given = ["contract", "kit", "gateway", "provider"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) => {
        const text = readFileSync(join(ROOT, folder, name), "utf8");
        const errors = text.matchAll(/\b(?:FaasError|super)\(\s*"(\w+)",([^;]*?)\bcode: "(\w+)"/g);
        return [...errors].map(([, kind, , code]) => ({ name, kind, code }));
      }),
  );
  expect(given.length).toBeGreaterThan(12);
  expect(given.filter(({ kind, code }) => ERROR_CODES[code as ErrorCode] !== kind)).toEqual([]);
});

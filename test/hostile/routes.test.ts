import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { parseRoutes } from "../../contract/routes/parse-routes.ts";
import { FakeBackend } from "../provider/fake-backend.ts";
import { serveProvider, type TestProvider } from "../provider/support.ts";
import { eventually } from "../support/eventually.ts";
import { type FrontGateway, openFrontGateway } from "../support/front-gateway.ts";
import { rawRequest } from "../support/raw-http.ts";

const ROUTES = "com.faaslane.routes";
const HOST = "shop.example.com";

describe("requests that follow a route", () => {
  let front: FrontGateway;
  let port: number;
  let address: string;

  beforeAll(async () => {
    front = await openFrontGateway({}, { user: "admin", password: "secret" });
    port = Number(new URL(front.gateway.url).port);
    await eventually("f answers", async () => (await fetch(`${front.gateway.url}/function/f`)).ok, 20_000);
    address = front.seen.headers.host as string;
    announce("f", `${HOST}/cart/*; *.example.org; /hook/*`);
    await eventually("its routes are known", async () => (await ask("/hook/x", "127.0.0.1"))?.status === 200, 20_000);
  });
  afterAll(() => front.close());

  const announce = (name: string, routes: string) =>
    front.provider.put({
      name,
      endpoints: [{ address, instance: "a", state: "ready" }],
      annotations: { [ROUTES]: routes },
    });
  const ask = (target: string, host: string, more = "") =>
    rawRequest(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`, 20_000);

  test.each<[attack: string, target: string, host: string]>([
    ["dots behind the prefix of a host", "/cart/../system/functions", HOST],
    ["escaped dots behind it", "/cart/%2e%2e/system/functions", HOST],
    ["dots escaped in part", "/cart/.%2E/system/functions", HOST],
    ["dots behind a prefix of any host", "/hook/../system/functions", "127.0.0.1"],
    ["escaped dots behind that", "/hook/%2e%2e/system/functions", "127.0.0.1"],
    ["empty segments", "/hook//../../system/functions", "127.0.0.1"],
    ["an escaped letter of a control route", "/%73ystem/functions", "127.0.0.1"],
    ["a control route of a host without routes", "/system/functions", "elsewhere.example.net"],
    ["a control route of a host whose routes do not fit", "/system/functions", HOST],
    ["the absolute form with a control route", `http://${HOST}/system/functions`, "127.0.0.1"],
    ["a host with a user", "/system/functions", `${HOST}@127.0.0.1`],
  ])("do not reach a control route: %s", async (_attack, target, host) => {
    front.seen.url = "";
    const answer = await ask(target, host);
    expect([301, 400, 401, 403, 404]).toContain(answer?.status);
    expect(front.seen.url).toBe("");
    if (answer?.status === 301) expect(answer.headers.get("location")?.[0]).toBe("/system/functions");
  });

  test.each<[attack: string, target: string, seen: string]>([
    ["escaped slashes", "/cart/..%2f..%2fsystem", "/..%2f..%2fsystem"],
    ["dots escaped twice", "/cart/%252e%252e/system", "/%252e%252e/system"],
    ["an escaped NUL", "/cart/%00/x", "/%00/x"],
    ["what is no escape", "/cart/%zz", "/%zz"],
    ["a question in the query", "/cart/x?../../system", "/x?../../system"],
  ])("are passed on as they came, to the function alone: %s", async (_attack, target, seen) => {
    expect((await ask(target, HOST))?.body).toBe(`f got ${seen}`);
  });

  test.each<[attack: string, head: string]>([
    ["two hosts", `Host: ${HOST}\r\nHost: 127.0.0.1\r\n`],
    ["a host with a blank", `Host: ${HOST} x\r\n`],
    ["a host with a path", `Host: ${HOST}/system\r\n`],
    ["a port that is no number", `Host: ${HOST}:x\r\n`],
    ["two ports", `Host: ${HOST}:80:80\r\n`],
    ["brackets around nothing", `Host: []${HOST}\r\n`],
    ["letters that no host has", `Host: m\u00fcnchen.example\r\n`],
  ])("are refused with %s", async (_attack, head) => {
    const answer = await rawRequest(port, `GET /cart/x HTTP/1.1\r\n${head}Connection: close\r\n\r\n`, 20_000);
    expect(answer?.status).toBe(400);
  });

  test("take the host of the absolute form, not another one beside it", async () => {
    expect((await ask(`http://${HOST}/cart/x`, "127.0.0.1"))?.body).toBe("f got /x");
    expect((await ask("http://127.0.0.1/cart/x", HOST))?.status).toBe(404);
  });

  test("of HTTP/2 take :authority, not a Host beside it", async () => {
    const session = connectHttp2(front.gateway.url);
    const ask = async (headers: OutgoingHttpHeaders) => {
      const stream = session.request({ ":path": "/cart/x", ...headers });
      return await new Promise((resolve) => stream.on("response", (answer) => resolve(answer[":status"])));
    };
    const beside = await ask({ ":authority": "127.0.0.1", host: HOST });
    const broken = await ask({ ":authority": `${HOST}:x` });
    session.close();
    expect([400, 404]).toContain(beside);
    expect(broken).toBe(400);
  });

  test("are not slowed by hosts of thousands of labels", async () => {
    const host = "a.".repeat(5_000);
    const started = performance.now();
    for (let i = 0; i < 20; i++) expect((await ask("/nothing", `${host}example.net`))?.status).toBe(404);
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test("cannot make up a prefix that sends people to another host", async () => {
    for (const prefix of ["//evil.example", "/x/../..", "https://evil.example", "/\\evil.example"]) {
      await ask("/cart/x", HOST, `X-Forwarded-Prefix: ${prefix}\r\n`);
      expect(front.seen.headers["x-forwarded-prefix"]).toBe("/cart");
    }
  });

  test.each([["__proto__"], ["constructor"], ["toString"]])("have no route by the name %s", async (host) => {
    expect((await ask("/cart/x", host))?.status).toBe(404);
  });

  test("go on when a provider tells of routes that nobody could have set", async () => {
    for (const routes of ["[".repeat(100_000), "x".repeat(200_000), `[{"host":"__proto__"}]`, "a.b/../x", "\u0000"]) {
      announce("odd", routes);
    }
    announce("odd", "odd.example.net");
    await eventually("they are followed", async () => (await ask("/x", "odd.example.net"))?.status === 200, 20_000);
    expect((await ask("/cart/x", HOST))?.status).toBe(200);
  });

  test("are not taken from their function by one that comes past the provider", async () => {
    announce("z-thief", `${HOST.toUpperCase()}./cart/*; z.example.net`);
    await eventually("it is known", async () => (await ask("/x", "z.example.net"))?.status === 200, 20_000);
    await ask("/cart/x", HOST);
    expect(front.log).toContain("route is not served");
    front.provider.remove("z-thief");
  });
});

describe("routes that are deployed", () => {
  let provider: TestProvider;
  let backend: FakeBackend;
  beforeAll(async () => {
    backend = new FakeBackend();
    provider = await serveProvider({ backend });
    await deploy("owner", `${HOST}/cart/*`);
  });
  afterAll(() => provider.close());

  const deploy = async (service: string, routes: string) =>
    (await provider.call("POST", "/system/functions", { service, image: "x", annotations: { [ROUTES]: routes } }))
      .status;

  test.each([
    ["upper case", "SHOP.example.com/cart/*"],
    ["a dot at the end", `${HOST}./cart/*`],
    ["a slash at the end", `[{"host":"${HOST}","path":"/cart/"}]`],
    ["escapes", `${HOST}/%63art/*`],
    ["a version", `${HOST}/cart/* @v1`],
    ["another way to be served", `${HOST}/cart/* rewrite=/x`],
  ])("are not somebody else's by %s", async (_form, routes) => {
    expect(await deploy("thief", routes)).toBe(409);
    expect(backend.deployed.has("thief.openfaas-fn")).toBe(false);
  });

  test.each<[what: string, routes: string]>([
    ["control routes", "/system/functions/*"],
    ["escaped control routes", "/%73ystem/*"],
    ["a certificate outside of the secrets", `${HOST}/y cert=../../etc/tls`],
    ["the Host header as a condition", `${HOST}/y header=host:a`],
    ["line breaks in a condition", `[{"host":"a.b","headers":{"x":"a\\r\\nb"}}]`],
    ["a name of the prototype as a header", `[{"host":"a.b","headers":{"__proto__ ":"a"}}]`],
    ["more than a hundred", Array.from({ length: 101 }, (_, i) => `h${i}.a.b`).join(";")],
    ["deep JSON", `${"[".repeat(5_000)}${"]".repeat(5_000)}`],
    ["a megabyte", "a".repeat(1024 ** 2)],
  ])("are refused with %s", async (_what, routes) => {
    expect(await deploy("odd", routes)).toBe(400);
  });

  test("are read in time whatever is in them", () => {
    const started = performance.now();
    for (const text of [
      " ".repeat(60_000),
      "a.".repeat(30_000),
      "%2e".repeat(20_000),
      "GET,".repeat(15_000),
      "/".repeat(60_000),
    ]) {
      expect(() => parseRoutes(`a.b/${text}x y`)).toThrow();
    }
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

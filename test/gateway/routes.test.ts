import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { type FrontGateway, openFrontGateway } from "../support/front-gateway.ts";
import { GatewayWithWorkers } from "../support/gateway-workers.ts";
import { rawRequest } from "../support/raw-http.ts";

const ROUTES = [
  "shop.example.com/cart/*; shop.example.com/cart/whole keep; POST shop.example.com/post; *.example.com/wild/*",
  "site.example.org; /hook/*; gone.example.org/x @v9; ws.example.org",
].join("\n");

let front: FrontGateway;
let port: number;
beforeAll(async () => {
  front = await openFrontGateway({ base_path: "/faas" }, { user: "admin", password: "secret" });
  port = Number(new URL(front.gateway.url).port);
  const f = await known();
  front.provider.put({ ...f, annotations: { "com.faaslane.routes": ROUTES } });
  await eventually("the routes are known", async () => (await get("/hook/x")).status === 200, 20_000);
});
afterAll(() => front.close());

/** The function as it was announced. */
async function known() {
  const found = { name: "f", endpoints: [] as { address: string; instance: string; state: "ready" }[] };
  await eventually("f answers", async () => (await fetch(`${front.gateway.url}/function/f`)).ok, 20_000);
  const address = front.seen.headers.host as string;
  found.endpoints.push({ address, instance: "a", state: "ready" });
  return found;
}

const get = async (target: string, host = "127.0.0.1", more = "", method = "GET") => {
  const head = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`;
  const answer = await rawRequest(port, head, 20_000);
  if (!answer) throw new Error("no answer");
  return answer;
};

test.each<[what: string, target: string, host: string, seen: string]>([
  ["a prefix is cut", "/cart/items?a=b", "shop.example.com", "/items?a=b"],
  ["the prefix alone is the root", "/cart", "shop.example.com", "/"],
  ["a path may be kept", "/cart/whole", "shop.example.com", "/cart/whole"],
  ["a port does not count", "/cart/x", "shop.example.com:8443", "/x"],
  ["nor does case", "/cart/x", "SHOP.Example.Com", "/x"],
  ["nor a dot at the end", "/cart/x", "shop.example.com.", "/x"],
  ["a wildcard takes the rest", "/wild/x", "any.example.com", "/x"],
  ["the absolute form names the host", "http://shop.example.com/cart/abs?q", "elsewhere.org", "/abs?q"],
  ["escapes stay as they are", "/cart/a%2Fb/%c3%a9", "shop.example.com", "/a%2Fb/%c3%a9"],
  ["an escaped prefix is the same", "/c%61rt/x", "shop.example.com", "/x"],
  ["base_path is no part of it", "/faas/cart/x", "shop.example.com", "/x"],
  ["a host of its own has the gateway's paths too", "/system/functions", "site.example.org", "/system/functions"],
  ["and its root", "/", "site.example.org", "/"],
  ["and those of functions", "/function/f/x", "site.example.org", "/function/f/x"],
  ["without a host a path is for any", "/hook/a/b", "127.0.0.1", "/a/b"],
])("%s: %s at %s", async (_what, target, host, seen) => {
  const { status, body } = await get(target, host);
  expect([status, body]).toEqual([200, `f got ${seen}`]);
});

test("the function learns which prefix was cut, behind what a proxy has cut", async () => {
  await get("/cart/x", "shop.example.com");
  expect(front.seen.headers).toMatchObject({ "x-forwarded-prefix": "/cart", "x-forwarded-host": "shop.example.com" });
  await get("/cart/x", "shop.example.com", "X-Forwarded-Prefix: /outer\r\n");
  expect(front.seen.headers["x-forwarded-prefix"]).toBe("/outer/cart");
  await get("/cart/x", "shop.example.com", "X-Forwarded-Prefix: //evil.org\r\n");
  expect(front.seen.headers["x-forwarded-prefix"]).toBe("/cart");
  await get("/cart/whole", "shop.example.com");
  expect(front.seen.headers["x-forwarded-prefix"]).toBeUndefined();
});

test.each<[what: string, target: string, host: string, status: number]>([
  ["control routes want their login wherever no route names the host", "/system/functions", "127.0.0.1", 401],
  ["they are not reached through a prefix", "/hook/../system/functions", "127.0.0.1", 301],
  ["nor through an escaped one", "/hook/%2e%2e/system/functions", "127.0.0.1", 404],
  ["other paths are unknown", "/other", "127.0.0.1", 404],
  ["and so are those of a host with routes", "/other", "shop.example.com", 404],
  ["a method that no route takes", "/post", "shop.example.com", 404],
  ["a version that is not there", "/x", "gone.example.org", 404],
  ["a tail that is no prefix", "/cartoon", "shop.example.com", 404],
])("%s: %s at %s", async (_what, target, host, status) => {
  expect((await get(target, host)).status).toBe(status);
});

test.each([
  ["/cart//x/../y?q", "/faas/cart/y?q"],
  ["/cart/%2e%2E/%2e/cart/z", "/faas/cart/z"],
])("%s is sent to the clean path before a route is looked for", async (target, location) => {
  const { status, headers } = await get(target, "shop.example.com");
  expect([status, headers.get("location")]).toEqual([301, [location]]);
});

test("a method of a route leads to it", async () => {
  expect((await get("/post", "shop.example.com", "Content-Length: 0\r\n", "POST")).body).toBe("f got /");
});

test("a sticky caller's cookie is for all of the host that the route is at", async () => {
  const endpoints = [{ address: front.seen.headers.host as string, instance: "a", state: "ready" as const }];
  const annotations = { "com.faaslane.sticky": "cookie", "com.faaslane.routes": "sticky.example.org/shop/*" };
  const traffic = ["v1", "v2"].map((version) => ({ version, share: 5_000 }));
  front.provider.put({ name: "s@v2", version: "v2", endpoints });
  front.provider.put({ name: "s", version: "v1", endpoints, annotations, traffic });
  const cookie = await eventually("the route is known", async () => {
    return (await get("/shop/x", "sticky.example.org")).headers.get("set-cookie")?.[0];
  });
  expect(cookie).toMatch(/^fl-v-s=[^;]+; Path=\/; /);
  expect((await get("/function/s")).headers.get("set-cookie")?.[0]).toMatch(/; Path=\/faas\/function\/s; /);
});

test("HTTP/2 names the host in :authority", async () => {
  const session = connectHttp2(front.gateway.url);
  const stream = session.request({ ":path": "/cart/h2", ":authority": "shop.example.com" });
  let body = "";
  for await (const piece of stream.setEncoding("utf8")) body += piece;
  session.close();
  expect(body).toBe("f got /h2");
});

test("routes follow the annotation; of two functions with the same one keeps it, and the log says so", async () => {
  const f = {
    name: "f",
    endpoints: [{ address: front.seen.headers.host as string, instance: "a", state: "ready" as const }],
  };
  front.provider.put({ ...f, name: "g", annotations: { "com.faaslane.routes": "site.example.org; g.example.org" } });
  await eventually("g has its routes", async () => (await get("/x", "g.example.org")).status === 200, 20_000);
  expect((await get("/x", "site.example.org")).body).toBe("f got /x");
  expect(front.log).toContain("route is not served");
  front.provider.remove("g");
  await eventually("they are gone", async () => (await get("/x", "g.example.org")).status === 404, 20_000);
  front.provider.put({ ...f, annotations: { "com.faaslane.routes": "site.example.org/only; nonsense nonsense" } });
  await eventually("unreadable ones are none", async () => (await get("/hook/x")).status === 404, 20_000);
  expect(front.log).toContain("cannot read the function's routes");
  front.provider.put({ ...f, annotations: { "com.faaslane.routes": ROUTES } });
  await eventually("they are back", async () => (await get("/hook/x")).status === 200, 20_000);
});

describe("a gateway with several threads", () => {
  let several: GatewayWithWorkers;
  beforeAll(async () => {
    several = await GatewayWithWorkers.open();
    const address = await several.replica((req, res) => res.end(`${req.headers["x-forwarded-prefix"]} ${req.url}`));
    const routes = (host: string) => ({ "com.faaslane.routes": `${host}/p/*` });
    await several.deploy("plain", [address], { annotations: routes("plain.example.com") });
    const guarded = { ...routes("guarded.example.com"), "com.faaslane.cors.allow-origins": "https://page.example.com" };
    await several.deploy("guarded", [address], { annotations: guarded });
    const socket = await several.switchingReplica();
    await several.deploy("socket", [socket], { annotations: routes("socket.example.com") });
  }, 60_000);
  afterAll(() => several.close());

  test.each(["plain", "guarded"])("takes them in each: %s", async (name) => {
    const ask = `GET /p/x?y HTTP/1.1\r\nHost: ${name}.example.com\r\nConnection: close\r\n\r\n`;
    const bodies = await Promise.all(
      Array.from({ length: 6 }, async () => (await rawRequest(several.port, ask, 20_000))?.body),
    );
    expect(bodies).toEqual(Array.from({ length: 6 }, () => "/p /x?y"));
  });

  test("a WebSocket follows its route", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(several.port, "127.0.0.1");
    socket.setEncoding("latin1").on("data", (text: string) => resolve(text.split("\r\n")[0] as string));
    const head = "Host: socket.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    socket.write(`GET /p/ws HTTP/1.1\r\n${head}`);
    expect(await promise).toBe("HTTP/1.1 101 Switching Protocols");
    socket.destroy();
  });
});

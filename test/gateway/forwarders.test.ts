import { afterEach, expect, test } from "@jest/globals";
import { type FrontGateway, openFrontGateway } from "../support/front-gateway.ts";

let front: FrontGateway | undefined;
afterEach(async () => {
  await front?.close();
  front = undefined;
});

const SAID = {
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "faas.example.com",
  "x-forwarded-port": "8443",
  "x-real-ip": "203.0.113.9",
  forwarded: "for=203.0.113.9;proto=https",
};

test.each<[who: string, env: Record<string, string>, got: Record<string, string | undefined>]>([
  ["nobody is named as trusted", {}, { ...SAID, "x-forwarded-for": "203.0.113.9, 127.0.0.1" }],
  [
    "the peer is a trusted proxy",
    { trusted_proxies: "127.0.0.0/8" },
    { ...SAID, "x-forwarded-for": "203.0.113.9, 127.0.0.1" },
  ],
  [
    "others are trusted",
    { trusted_proxies: "10.0.0.0/8,::1" },
    {
      "x-forwarded-for": "203.0.113.9, 127.0.0.1",
      "x-forwarded-proto": "http",
      "x-forwarded-host": "here",
      "x-forwarded-port": undefined,
      "x-real-ip": undefined,
      forwarded: undefined,
    },
  ],
])("what a function is told of the way to it when %s", async (_who, env, got) => {
  front = await openFrontGateway(env);
  const { url } = front.gateway;
  await fetch(`${url}/function/f`, { headers: SAID });
  const { headers } = front.seen;
  const told = Object.fromEntries(Object.keys(SAID).map((name) => [name, headers[name]]));
  expect(told).toEqual({
    ...got,
    ...(got["x-forwarded-host"] === "here" && { "x-forwarded-host": new URL(url).host }),
  });
});

test("without a word of its proxy, the scheme is that of the connection", async () => {
  front = await openFrontGateway({ trusted_proxies: "127.0.0.1" });
  await fetch(`${front.gateway.url}/function/f`);
  expect(front.seen.headers["x-forwarded-proto"]).toBe("http");
});

const credentials = { user: "admin", password: "right" };
const basic = (password: string) => `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;

async function guess({ gateway }: FrontGateway, client: string, times: number, password = "wrong"): Promise<Response> {
  let last: Response | undefined;
  for (let i = 0; i < times; i++) {
    last = await fetch(`${gateway.url}/system/info`, {
      headers: { authorization: basic(password), "x-forwarded-for": client },
    });
  }
  return last as Response;
}

test("failed logins are counted by the client that a trusted proxy names, one network of IPv6 together", async () => {
  front = await openFrontGateway({ trusted_proxies: "127.0.0.1" }, credentials);
  const refused = await guess(front, "198.51.100.1, 203.0.113.9", 12);
  expect([refused.status, Number(refused.headers.get("retry-after"))]).toEqual([429, expect.any(Number)]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  // What the client itself wrote before it is no way around it, nor is another port.
  expect((await guess(front, "198.51.100.2, 203.0.113.9:99", 1)).status).toBe(429);
  expect((await guess(front, "203.0.113.10", 1)).status).toBe(401);
  expect((await guess(front, "2001:db8::1", 12)).status).toBe(429);
  expect((await guess(front, "[2001:0db8::ffff:2]:1234", 1)).status).toBe(429);
  expect((await guess(front, "203.0.113.9", 1, "right")).status).toBe(200);
  expect(front.log).toContain('"address":"203.0.113.9"');
});

test("a chain that a stranger sends is no way around the limit, nor a way to lock others out", async () => {
  front = await openFrontGateway({}, credentials);
  for (let i = 0; i < 11; i++) await guess(front, `203.0.113.${i}`, 1);
  expect((await guess(front, "203.0.113.200", 1)).status).toBe(429);
  expect(front.log).toContain('"address":"127.0.0.1"');
  expect(front.log).not.toContain("203.0.113");
});

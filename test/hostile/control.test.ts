import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { basicAuthHeader } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import { type OpenProvider, openProvider } from "../../provider/serve.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type RawResponse, rawRequest } from "../support/raw-http.ts";

/**
 * What web pages and strangers may try at the control routes, on both ports that have them. The gateways and the provider
 * know the password; the attacker's browser sends it along, as one that has cached it does.
 */
const credentials = { user: "admin", password: "correct horse battery staple" };
const authorization = basicAuthHeader(credentials);

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let provider: OpenProvider;
let gateway: OpenGateway;
/** Called by a name, as behind a proxy. */
let named: OpenGateway;
const logged: string[] = [];
const log = createLogger("warn", { write: (line) => void logged.push(line) });

beforeAll(async () => {
  folder = await temporaryFolder();
  const env = { port: "0", metrics_port: "0", data_dir: join(folder.path, "data"), drain_timeout: "1s" };
  provider = await openProvider(loadProviderConfig({ ...env, provider_port: "0" }), credentials, log);
  const gatewayEnv = { ...env, functions_provider_url: provider.url, queue: "embedded" };
  gateway = await openGateway(loadGatewayConfig(gatewayEnv), credentials, log);
  const allowed = { allowed_hosts: "faas.example.com, *.lan.example", queue: "none" };
  named = await openGateway(loadGatewayConfig({ ...gatewayEnv, ...allowed }), credentials, log);
});

afterAll(async () => {
  await named.close();
  await gateway.close();
  await provider.close();
  await folder.remove();
});

const portOf = ({ url }: { readonly url: string }) => Number(new URL(url).port);

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function send(server: { readonly url: string }, sent: Sent): Promise<RawResponse> {
  const { method = "POST", path = "/system/functions", host = new URL(server.url).host, body = "" } = sent;
  const headers: Record<string, string> = { host, authorization, connection: "close", ...sent.headers };
  if (method !== "GET") headers["content-length"] = String(Buffer.byteLength(body));
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const answer = await rawRequest(portOf(server), `${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n${body}`);
  if (!answer) throw new Error("no answer");
  return answer;
}

const deployment = '{"service":"theirs","image":"theirs:1"}';
const json = { "content-type": "application/json" };
const form = { "content-type": "application/x-www-form-urlencoded" };
const foreign = { origin: "https://evil.example" };

/** Sends to both ports, and expects the same of both. */
async function statuses(sent: (host: string) => Sent): Promise<number[]> {
  const both = [gateway, provider].map(async (server) => await send(server, sent(new URL(server.url).host)));
  return (await Promise.all(both)).map(({ status }) => status);
}

test.each<[attack: string, sent: (host: string) => Sent, status: number]>([
  ["a form post from another site", () => ({ headers: { ...form, ...foreign }, body: "a=b" }), 403],
  ["text/plain from another site", () => ({ headers: { "content-type": "text/plain", ...foreign } }), 403],
  ["JSON from another site", () => ({ headers: { ...json, ...foreign }, body: deployment }), 403],
  ["a sandboxed page, whose origin is null", () => ({ headers: { ...json, origin: "null" }, body: deployment }), 403],
  ["a page on another port of this machine", () => ({ headers: { ...json, origin: "http://127.0.0.1:1" } }), 403],
  ["an origin that only begins like ours", (h) => ({ headers: { ...json, origin: `http://${h}.evil.example` } }), 403],
  ["an origin with our name as its user", (h) => ({ headers: { ...json, origin: `http://${h}@evil.example` } }), 403],
  ["two origins, ours first", (h) => ({ headers: { ...json, origin: `http://${h}, https://evil.example` } }), 403],
  ["an empty origin", () => ({ headers: { ...json, origin: "" } }), 403],
  [
    "a request that the browser calls cross-site",
    () => ({ headers: { ...json, "sec-fetch-site": "cross-site" } }),
    403,
  ],
  ["one that it calls same-site", () => ({ headers: { ...json, "sec-fetch-site": "same-site" } }), 403],
  ["one that it calls both", () => ({ headers: { ...json, "sec-fetch-site": "none, cross-site" } }), 403],
  ["a link from another site", () => ({ method: "GET", headers: { "sec-fetch-site": "cross-site" } }), 403],
  [
    "a build uploaded from another site",
    () => ({ path: "/system/build", headers: { "content-type": "multipart/form-data; boundary=x", ...foreign } }),
    403,
  ],
  ["a name that points here", () => ({ method: "GET", host: "evil.example" }), 403],
  ["a name that points here, with our port", (h) => ({ method: "GET", host: `evil.example:${h.split(":")[1]}` }), 403],
  ["a name that ends like this machine's", () => ({ method: "GET", host: "127.0.0.1.evil.example" }), 403],
  ["a name that begins like this machine's", () => ({ method: "GET", host: "localhost.evil.example" }), 403],
  ["the address of all interfaces", () => ({ method: "GET", host: "0.0.0.0" }), 403],
  ["a host that is none", () => ({ method: "GET", host: "[::1]x" }), 400],
  ["an address that is not this machine's", () => ({ method: "GET", host: "[2001:db8::1]" }), 403],
  [
    "a rebound page that is of one origin with its host",
    () => ({ host: "evil.example", headers: { ...json, origin: "http://evil.example" }, body: deployment }),
    403,
  ],
  ["what a form on a page of ours sends", (h) => ({ headers: { ...form, origin: `http://${h}` } }), 415],
  [
    "a form of a browser that does not tell the origin",
    () => ({ headers: { ...form, "sec-fetch-site": "none" } }),
    415,
  ],
  ["text, without any origin", () => ({ headers: { "content-type": "text/plain" }, body: deployment }), 415],
  ["a type that only begins like JSON", () => ({ headers: { "content-type": "application/jsonp" }, body: "{}" }), 415],
  ["a page of ours that does not say what it sends", (h) => ({ headers: { origin: `http://${h}` }, body: "{}" }), 415],
])("%s is refused", async (_attack, sent, status) => {
  expect(await statuses(sent)).toEqual([status, status]);
});

test.each<[client: string, sent: (host: string) => Sent, status: number]>([
  ["a program", () => ({ headers: json, body: "{}" }), 400],
  ["a program that names a charset", () => ({ headers: { "content-type": "application/json; charset=utf-8" } }), 400],
  ["a program that does not say what it sends", () => ({ body: "{}" }), 400],
  ["a script with curl -d", () => ({ headers: form, body: "{}" }), 400],
  ["a page of the server itself", (h) => ({ headers: { ...json, origin: `http://${h}` }, body: "{}" }), 400],
  ["one that reads", () => ({ method: "GET", headers: { "sec-fetch-site": "same-origin" } }), 200],
  ["an address that was typed", () => ({ method: "GET", headers: { "sec-fetch-site": "none" } }), 200],
  ["localhost", () => ({ method: "GET", host: "LocalHost:1" }), 200],
  ["another address of loopback", () => ({ method: "GET", host: "127.9.9.9" }), 200],
  ["loopback of IPv6", () => ({ method: "GET", host: "[::1]:8080" }), 200],
])("%s is let in", async (_client, sent, status) => {
  expect(await statuses(sent)).toEqual([status, status]);
});

test.each<[attack: string, sent: Sent]>([
  ["the queue is dropped", { method: "DELETE", path: "/system/queue/dead-letters?all=true", headers: foreign }],
  ["the queue is replayed", { path: "/system/queue/dead-letters?all=true", headers: { ...form, ...foreign } }],
  ["images are removed", { path: "/system/prune", headers: { ...json, ...foreign }, body: '{"all":true}' }],
  ["an alert is raised", { path: "/system/alert", headers: { ...json, ...foreign }, body: "{}" }],
  ["the pages are framed", { method: "GET", path: "/ui/", headers: { "sec-fetch-site": "cross-site" } }],
])("of the gateway's own routes: %s from another site, which is refused", async (_attack, sent) => {
  expect((await send(gateway, sent)).status).toBe(403);
});

test("what is no JSON is asked for the password first", async () => {
  const sent = { headers: { "content-type": "text/plain", authorization: "" } };
  expect(await statuses(() => sent)).toEqual([401, 401]);
});

test("a link to the pages is followed, and asks for the password", async () => {
  const opened = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  const answer = await send(gateway, { method: "GET", path: "/ui/", headers: { ...opened, authorization: "" } });
  expect(answer.status).toBe(401);
});

test("a function is public: any host and any origin may call it", async () => {
  const sent = { path: "/function/nobody", host: "evil.example", headers: { ...form, ...foreign }, body: "a=b" };
  expect((await send(gateway, sent)).status).toBe(404);
});

test.each<[from: string, sent: Sent, status: number]>([
  ["its name", { host: "faas.example.com" }, 200],
  ["its name in capitals with a dot", { host: "FAAS.example.com.:443" }, 200],
  ["a name of its domain", { host: "a.lan.example" }, 200],
  ["the domain itself", { host: "lan.example" }, 403],
  ["another name", { host: "evil.example" }, 403],
  [
    "a page of its name through TLS",
    { host: "faas.example.com", headers: { origin: "https://faas.example.com" } },
    200,
  ],
  ["such a page, the proxy's Host", { host: "127.0.0.1:8080", headers: { origin: "https://faas.example.com" } }, 200],
  ["a page on another port", { host: "faas.example.com", headers: { origin: "https://faas.example.com:444" } }, 403],
])("a gateway that is called by %s", async (_from, sent, status) => {
  expect((await send(named, { method: "GET", ...sent })).status).toBe(status);
});

const wrong = { authorization: basicAuthHeader({ ...credentials, password: "wrong horse" }) };

test("3,000 wrong passwords are slowed down and told of once, and never shut out the right one", async () => {
  logged.length = 0;
  const seen = new Map<number, number>();
  for (let sent = 0; sent < 3_000; ) {
    const batch = Math.min(50, 3_000 - sent);
    const answers = Array.from({ length: batch }, () =>
      fetch(`${gateway.url}/system/functions`, { headers: wrong }).then(async (answer) => {
        await answer.text();
        seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
        if (answer.status === 429) expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
        else expect(answer.headers.get("www-authenticate")).toBe('Basic realm="Restricted"');
      }),
    );
    await Promise.all(answers);
    sent += batch;
  }
  expect([...seen.keys()].sort()).toEqual([401, 429]);
  // Ten at first, then one after each pause.
  expect(seen.get(401)).toBeLessThan(40);
  expect((await send(gateway, { method: "GET" })).status).toBe(200);
  const lines = logged.filter((line) => line.includes("many failed logins"));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('"address":"127.0.0.1"');
  expect(lines[0]).not.toContain("wrong horse");
});

test("the provider's own port slows them down too", async () => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => send(provider, { method: "GET", headers: wrong }).then(({ status }) => status)),
  );
  expect(answers.filter((status) => status === 401)).toHaveLength(10);
  expect((await send(provider, { method: "GET" })).status).toBe(200);
});

test("with basic_auth=false, pages of other sites are refused all the same", async () => {
  const env = {
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url,
    queue: "none",
    drain_timeout: "1s",
  };
  const open = await openGateway(loadGatewayConfig({ ...env, basic_auth: "false" }), undefined, log);
  try {
    expect((await send(open, { headers: { ...json, ...foreign }, body: deployment })).status).toBe(403);
    expect((await send(open, { method: "GET", host: "evil.example" })).status).toBe(403);
    expect((await send(open, { method: "GET", path: "/system/scaling/nobody" })).status).toBe(404);
  } finally {
    await open.close();
  }
});

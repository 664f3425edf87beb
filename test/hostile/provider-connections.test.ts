import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { shareProvider } from "../../gateway/proxy/provider-connection.ts";
import { eventually } from "../support/eventually.ts";
import { LoneGateway } from "../support/lone-gateway.ts";

/** Callers who hold connections to the provider for as long as they like must not have all of them. */
const MANY = 100;
let on: LoneGateway;
let leaving: AbortController;

beforeEach(async () => {
  leaving = new AbortController();
  // So few descriptors that the gateway has 32 connections to the provider.
  on = await LoneGateway.start({ env: { basic_auth: "false" }, prefix: ["prlimit", "--nofile=1024:1024"] });
  on.provider.respond = ({ url }, res) => {
    if (url.startsWith("/system/logs")) res.writeHead(200).flushHeaders();
    else if (!url.startsWith("/system/secrets")) res.writeHead(200).end("{}");
  };
});
afterEach(async () => {
  leaving.abort();
  await on?.close();
});

const ask = (path: string, signal = AbortSignal.timeout(30_000)) => fetch(on.gateway.url + path, { signal });
const open = (path: string) => Array.from({ length: MANY }, () => ask(path, leaving.signal));

test("more who follow logs than there may be are told so, and hold up nobody else", async () => {
  const statuses = await Promise.all(open("/system/logs?name=f&follow=true").map(async (one) => (await one).status));
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  for (const path of ["/healthz", "/system/namespaces"]) expect((await ask(path)).status).toBe(200);
  leaving.abort();
  leaving = new AbortController();
  await eventually(
    "there is room again",
    async () => (await ask("/system/logs?name=f&follow=true", leaving.signal)).status === 200,
    30_000,
  );
}, 60_000);

test("requests that the provider never answers do not keep the gateway from asking how it is", async () => {
  const hanging = open("/system/secrets").map((one) => one.then(String, String));
  await eventually("many are under way", () => on.provider.requests.length >= shareProvider(32).callers, 30_000);
  expect((await ask("/healthz")).status).toBe(200);
  leaving.abort();
  await Promise.all(hanging);
  expect((await ask("/system/namespaces")).status).toBe(200);
}, 60_000);

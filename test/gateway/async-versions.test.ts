import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { type CallReport, decodeCallReport } from "../../contract/calls.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { temporaryFolder } from "../support/platform.ts";

let provider: FakeProvider;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let gateway: OpenGateway;
const replicas = new Map<string, { server: Server; answers: number[]; seen: number }>();
let callbacks: { server: Server; got: IncomingMessage["headers"][] };

beforeAll(async () => {
  folder = await temporaryFolder();
  provider = await FakeProvider.open();
  provider.respond = (_request, res) => res.writeHead(404).end();
  for (const version of ["v1", "v2"]) {
    const replica = { answers: [] as number[], seen: 0, server: createServer() };
    replica.server.on("request", (req, res) => {
      replica.seen++;
      req.resume().on("end", () => res.writeHead(replica.answers.shift() ?? 200).end(version));
    });
    replicas.set(version, replica);
  }
  callbacks = { server: createServer(), got: [] };
  callbacks.server.on("request", (req, res) => {
    callbacks.got.push(req.headers);
    req.resume().on("end", () => res.end());
  });
  for (const server of [callbacks.server, ...[...replicas.values()].map((replica) => replica.server)]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "data"),
    drain_timeout: "2s",
    callback_private: "true",
  });
  gateway = await openGateway(config, undefined, createLogger("silent"));
  await eventually("the gateway follows the provider", () => provider.streamCount === 1);
});

afterAll(async () => {
  await gateway.close();
  await provider.close();
  for (const server of [callbacks.server, ...[...replicas.values()].map((replica) => replica.server)]) {
    server.closeAllConnections();
    server.close();
  }
  await folder.remove();
});

beforeEach(async () => {
  callbacks.got.length = 0;
  for (const replica of replicas.values()) replica.answers.length = 0;
  put("f", "v1");
  put("f@v2", "v2");
  await eventually("both versions are known", async () => {
    const answers = await Promise.all(["f@v1", "f@v2"].map((name) => fetch(`${gateway.url}/function/${name}`)));
    return answers.every(({ status }) => status === 200);
  });
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;

function put(name: string, version: string, more: object = {}): void {
  const address = `127.0.0.1:${portOf(replicas.get(version)?.server as Server)}`;
  const annotations = { "com.openfaas.retry.attempts": "3", "com.openfaas.retry.min_wait": "10ms" };
  const endpoints = [{ address, instance: address, state: "ready" as const }];
  provider.put({ name, version, annotations, endpoints, ...more });
}

async function queueCall(path: string, headers: Record<string, string> = {}): Promise<Response> {
  const callback = `http://127.0.0.1:${portOf(callbacks.server)}/`;
  const answer = await fetch(`${gateway.url}/async-function/${path}`, {
    method: "POST",
    headers: { "x-callback-url": callback, ...headers },
  });
  expect(answer.status).toBe(202);
  return answer;
}

async function ended(answer: Response): Promise<CallReport> {
  const url = `${gateway.url}${answer.headers.get("location")}`;
  return await eventually("the call has ended", async () => {
    const report = decodeCallReport(await (await fetch(url)).json());
    return report.state === "done" && callbacks.got.length > 0 ? report : undefined;
  });
}

test("a call of one version says so when it is accepted, in its status and on its callback", async () => {
  const accepted = await queueCall("f@v2/path");
  expect(accepted.headers.get("x-function-version")).toBe("v2");
  expect(await ended(accepted)).toMatchObject({ function: "f", version: "v2", status: 200 });
  expect(callbacks.got[0]).toMatchObject({ "x-function-version": "v2", "x-function-name": "f" });
  expect(callbacks.got[0]).not.toHaveProperty("x-version-downgraded");
});

test("a call without a wish goes to whichever version has the calls, and bears no version before", async () => {
  const accepted = await queueCall("f", { "x-function-version": "v9" });
  expect(accepted.headers.get("x-function-version")).toBeNull();
  expect(accepted.headers.get("x-function-version-ignored")).toBe("v9 has no calls and no tag");
  await ended(accepted);
  expect(callbacks.got[0]).toMatchObject({ "x-function-version": "v1" });
});

test("while calls are split, one that is accepted stays with its version, and is retried on it", async () => {
  const [one, two] = [replicas.get("v1"), replicas.get("v2")];
  put("f", "v1", {
    traffic: [
      { version: "v1", share: 1 },
      { version: "v2", share: 9_999 },
    ],
  });
  await eventually("the split is known", async () => {
    const answer = await fetch(`${gateway.url}/function/f`);
    return answer.headers.get("x-function-version") === "v2";
  });
  two?.answers.push(500, 503);
  const before = one?.seen;
  const accepted = await queueCall("f", { "x-function-version": "v2" });
  expect(accepted.headers.get("x-function-version")).toBe("v2");
  put("f", "v1"); // all calls go back
  expect(await ended(accepted)).toMatchObject({ attempts: 3, version: "v2" });
  expect(one?.seen).toBe(before);
});

test("where its version is gone, the one that serves takes the call, and the answer says so", async () => {
  const accepted = await queueCall("f@v2", { "x-delay": "1s" });
  provider.remove("f@v2");
  expect(await ended(accepted)).toMatchObject({ version: "v1" });
  expect(callbacks.got[0]).toMatchObject({ "x-function-version": "v1", "x-version-downgraded": "v2" });
});

test("calls with one idempotency key are one call, whichever version was chosen", async () => {
  put("f", "v1", {
    traffic: [
      { version: "v1", share: 5_000 },
      { version: "v2", share: 5_000 },
    ],
  });
  await eventually("the split is known", async () => {
    const answer = await fetch(`${gateway.url}/function/f`);
    return answer.headers.get("x-function-version") === "v2";
  });
  const ids = new Set<string | null>();
  for (let n = 0; n < 12; n++) ids.add((await queueCall("f", { "x-idempotency-key": "k" })).headers.get("location"));
  expect(ids.size).toBe(1);
});

test("a version that there is not is not queued", async () => {
  const answer = await fetch(`${gateway.url}/async-function/f@v9`, { method: "POST" });
  expect([answer.status, answer.headers.get("x-faaslane-error")]).toEqual([404, "unknown_version"]);
});

import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { StockGateway } from "../support/stock-gateway.ts";

/**
 * Providers that are not faaslane's, what they may say, and what is said through them, without harm to the gateway and to
 * functions that it knows.
 */

let opened: StockGateway;

beforeEach(async () => {
  opened = await StockGateway.open({ scale_up_timeout: "20s", upstream_timeout: "20s" });
  opened.provider.deploy({ name: "f" });
  await opened.whenAnswered("f");
});

afterEach(async () => {
  await opened.close();
});

const isList = (req: IncomingMessage) => req.url?.startsWith("/system/functions") === true;
const json = (res: ServerResponse, text: string) =>
  res.writeHead(200, { "content-type": "application/json" }).end(text);

/** Answers lists by `act`, and waits until some were asked for. */
async function withLists(act: (res: ServerResponse) => void, least = 3): Promise<void> {
  let lists = 0;
  opened.provider.fault = (req, res) => {
    if (!isList(req)) return false;
    lists++;
    act(res);
    return true;
  };
  await eventually("lists were read", () => lists >= least, 60_000);
}

const entry = (more: object) => ({ name: "f", namespace: "openfaas-fn", image: "i", replicas: 1, ...more });

describe("a list that is none leaves what was known:", () => {
  test.each<[what: string, text: string]>([
    ["no JSON", "<html>sign in</html>"],
    ["nothing", ""],
    ["another type", '{"items":[]}'],
    ["JSON that is cut", '[{"name":"f","repl'],
    ["a thousand brackets", "[".repeat(1000) + "]".repeat(1000)],
  ])("%s", async (_what, text) => {
    await withLists((res) => json(res, text));
    expect((await opened.call("f")).status).toBe(200);
  });

  test.each([400, 401, 404, 429, 500, 503])("status %d", async (status) => {
    await withLists((res) => res.writeHead(status).end("[]"));
    expect((await opened.call("f")).status).toBe(200);
  });

  test("a connection that is cut in the middle", async () => {
    await withLists((res) => {
      res.writeHead(200, { "content-length": "1000" }).write('[{"name":"f"');
      setTimeout(() => res.destroy(), 10);
    });
    expect((await opened.call("f")).status).toBe(200);
  });

  test("far more functions than anybody has", async () => {
    const many = JSON.stringify(Array.from({ length: 60_000 }, (_, i) => ({ name: `f${i}` })));
    await withLists((res) => json(res, many), 1);
    expect((await opened.call("f")).status).toBe(200);
    expect((await opened.control("/system/scaling/f1")).status).toBe(404);
  });
});

test("a list without an end is given up, in little memory", async () => {
  const before = process.memoryUsage().rss;
  const piece = Buffer.alloc(1024 * 1024, " ");
  let closed = 0;
  await withLists((res) => {
    res.writeHead(200);
    const write = () => {
      while (!res.destroyed && res.write(piece));
    };
    res.on("drain", write).on("close", () => closed++);
    write();
  }, 2);
  await eventually("the first was given up", () => closed > 0, 60_000);
  expect((await opened.call("f")).status).toBe(200);
  expect(process.memoryUsage().rss - before).toBeLessThan(400 * 1024 ** 2);
});

test("a provider that never answers about functions holds up none that is known, nor the control of the gateway", async () => {
  let asked = 0;
  opened.provider.fault = (req) => req.url?.startsWith("/system/function") === true && ++asked > 0;
  await eventually("it was asked", () => asked > 0);
  for (let i = 0; i < 5; i++) expect((await opened.call("f")).status).toBe(200);
  expect((await opened.control("/system/scaling/f")).status).toBe(200);
});

describe("an entry that breaks a rule hides neither its function nor the others:", () => {
  test.each<[what: string, broken: unknown]>([
    ["a type", entry({ replicas: "many" })],
    ["labels that are a list", entry({ labels: ["a"] })],
    ["labels of objects", entry({ labels: { a: {} } })],
    ["a namespace that is none", entry({ namespace: "../x" })],
  ])("%s", async (_what, broken) => {
    const other = entry({ name: "other", availableReplicas: 1, replicas: 1 });
    opened.provider.deploy({ name: "other" });
    await withLists((res) => json(res, JSON.stringify([broken, other])));
    expect((await opened.call("f")).status).toBe(200);
    expect((await opened.call("other")).status).toBe(200);
  });

  test.each([null, 7, "f", [], { name: 7 }, { name: "" }, { name: "a/../b" }, { name: "__proto__" }])(
    "%j in place of a function",
    async (broken) => {
      await withLists((res) => json(res, JSON.stringify([broken, entry({ availableReplicas: 1 })])));
      expect((await opened.call("f")).status).toBe(200);
    },
  );
});

describe("numbers that cannot be are cut to what can:", () => {
  test.each<[what: string, counts: string]>([
    ["negative", '"replicas":-3,"availableReplicas":-1'],
    ["a fraction", '"replicas":1.5,"availableReplicas":0.5'],
    ["huge", '"replicas":1e300,"availableReplicas":1e300'],
    ["more ready than wanted", '"replicas":1,"availableReplicas":500'],
  ])("%s", async (_what, counts) => {
    await withLists((res) => json(res, `[{"name":"f","image":"i","namespace":"openfaas-fn",${counts}}]`));
    const report = (await (await opened.control("/system/scaling/f")).json()) as { replicas: number };
    expect(report.replicas).toBeGreaterThanOrEqual(0);
    expect(report.replicas).toBeLessThanOrEqual(10_000);
    expect(Number.isInteger(report.replicas)).toBe(true);
  });
});

test("replicas that are said to serve and do not are asked for again, but not without pause, and the call ends", async () => {
  opened.provider.find("f")?.scale(0);
  let sent = 0;
  const status = JSON.stringify(entry({ availableReplicas: 3, replicas: 3 }));
  opened.provider.fault = (req, res) => {
    if (req.url?.startsWith("/function/")) sent++;
    if (isList(req)) json(res, `[${status}]`);
    else if (req.url?.startsWith("/system/function/")) json(res, status);
    else return false;
    return true;
  };
  const answer = await opened.call("f");
  expect([answer.status, answer.headers.get("x-faaslane-error")]).toEqual([503, "no_replica_ready"]);
  expect(sent).toBeLessThan(50);
});

test("a thousand empty namespaces, and one that is none", async () => {
  const names = JSON.stringify(["openfaas-fn", "", "../x", ...Array.from({ length: 900 }, (_, i) => `n${i}`)]);
  let lists = 0;
  opened.provider.fault = (req, res) => {
    if (isList(req)) lists++;
    if (req.url === "/system/namespaces") json(res, names);
    else if (isList(req) && !req.url?.endsWith("openfaas-fn")) json(res, "[]");
    else return false;
    return true;
  };
  await eventually("all were read", () => lists >= 900, 60_000);
  expect((await opened.call("f")).status).toBe(200);
});

test("a page in place of the endpoints stream is no other kind of provider", async () => {
  let pages = 0;
  opened.provider.fault = (req, res) => {
    if (req.url !== "/system/endpoints") return false;
    pages++;
    json(res, "<html>welcome</html>\n");
    return true;
  };
  await eventually("it was tried", () => pages > 0, 30_000);
  expect((await opened.call("f")).status).toBe(200);
});

test("a function that pretends to be the provider has its answer passed on, and is called once", async () => {
  let calls = 0;
  opened.provider.deploy({ name: "liar" }, 1, (req, res) => {
    calls++;
    if (req.url === "/ready") res.end();
    else res.writeHead(503, { "X-OpenFaaS-Internal": "proxy", "X-Faaslane-Error": "unknown_route" }).end("none");
  });
  await opened.whenAnswered("liar/ready");
  calls = 0;
  const answer = await opened.call("liar");
  expect([answer.status, await answer.text(), calls]).toEqual([503, "none", 1]);
});

test.each([
  "/%2e%2e/%2e%2e/system/namespaces",
  "/a/%2E%2E%2f%2E%2E%2fsystem/namespaces",
  "/..%5c..%5csystem",
  "/%252e%252e/%252e%252e/system/namespaces",
  "/..;/..;/system/namespaces",
])("a path that leads out of the function is refused: %s", async (path) => {
  const seen: string[] = [];
  opened.provider.fault = (req) => {
    seen.push(String(req.url));
    return false;
  };
  const port = Number(new URL(opened.gateway.url).port);
  const answer = await rawRequest(
    port,
    `GET /function/f${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
  );
  expect(answer?.status).toBe(400);
  expect(seen.filter((url) => url.startsWith("/function/"))).toEqual([]);
});

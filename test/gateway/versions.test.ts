import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { PathPrefix } from "../../gateway/core/path-prefix.ts";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";

const opened: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A replica that says which one it is, and what cookie it has got. */
async function replica(says: string, headers: Record<string, string> = {}): Promise<string> {
  const server = createServer((req, res) => {
    res.writeHead(200, headers).end(JSON.stringify({ says, cookie: req.headers.cookie ?? null }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function openGateway({ prefix = "", synced = true } = {}) {
  const table = new FunctionTable({
    defaultNamespace: "fns",
    maxHeld: 100,
    timeoutMs: 5_000,
    connectTimeoutMs: 2_000,
  });
  const woken: string[] = [];
  const proxy = new FunctionProxy({
    table,
    provider: { exist: async () => new Set() },
    wake: ({ qualifiedName }) => woken.push(qualifiedName),
    holdTimeoutMs: 20_000,
    pathPrefix: new PathPrefix(prefix),
    release: "test",
  });
  const server = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
  opened.push(() => server.drain(0));
  opened.push(() => table.close());
  if (synced) table.apply({ type: "heartbeat" });
  const put = (fn: Partial<FunctionEndpoints>, address?: string, type: "changed" | "snapshot" = "changed") =>
    table.apply({
      type,
      function: {
        name: "f",
        namespace: "fns",
        labels: {},
        annotations: {},
        replicas: address ? 1 : 0,
        generation: 1,
        endpoints: address ? [{ address, instance: address, state: "ready" }] : [],
        ...fn,
      },
    });
  const call = (path: string, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${server.port}/function/${path}`, { headers });
  return { table, woken, put, call };
}

const says = async (answer: Response) => ((await answer.json()) as { says: string }).says;

const halves = [
  { version: "v1", share: 5_000 },
  { version: "v2", share: 5_000 },
];

/** `v1` is the main version, `v2` beside it. */
async function twoVersions(options?: { prefix?: string }, main: Partial<FunctionEndpoints> = {}) {
  const gateway = await openGateway(options);
  gateway.put({ version: "v1", traffic: halves, ...main }, await replica("one"));
  gateway.put({ name: "f@v2", version: "v2" }, await replica("two"));
  return gateway;
}

test("a function without a split says its version, and is found by it", async () => {
  const { put, call } = await openGateway();
  put({ version: "v1" }, await replica("one"));
  for (const path of ["f", "f.fns", "f@v1", "f@v1.fns/a?b"]) {
    const answer = await call(path);
    expect([answer.status, answer.headers.get("x-function-version")]).toEqual([200, "v1"]);
    expect(answer.headers.get("vary")).toBeNull();
  }
  put({ version: "v2" }, await replica("two"));
  expect((await call("f@v1")).status).toBe(404);
  expect(await says(await call("f@v2"))).toBe("two");
});

test("who runs an update says its own version", async () => {
  const { put, call } = await openGateway();
  const address = await replica("old");
  put({ version: "v2", endpoints: [{ address, instance: "a", state: "ready", version: "v1" }] });
  expect((await call("f")).headers.get("x-function-version")).toBe("v1");
});

test("both versions of a split get calls, each of which says its version", async () => {
  const { call } = await twoVersions();
  const seen = new Set<string>();
  await eventually("both have answered", async () => {
    const answer = await call("f");
    seen.add(`${answer.headers.get("x-function-version")} ${await says(answer)}`);
    expect(answer.headers.get("vary")).toBe("X-Function-Version");
    return seen.size === 2;
  });
  expect([...seen].sort()).toEqual(["v1 one", "v2 two"]);
});

test("addresses lead to versions and tags, whatever has the calls", async () => {
  const { put, call } = await twoVersions(undefined, {
    traffic: [
      { version: "v1", share: 10_000 },
      { version: "v2", share: 0, tag: "next" },
    ],
  });
  put({ name: "f@v3", version: "v3" }, await replica("three"));
  expect(await says(await call("f"))).toBe("one");
  for (const path of ["f@v2", "f@v2.fns", "f@next", "f@next.fns/x"]) expect(await says(await call(path))).toBe("two");
  expect(await says(await call("f@v1"))).toBe("one");
  expect(await says(await call("f@v3"))).toBe("three");
});

test.each(["f@v9", "f@old.fns", "f@latest"])(
  "%s is not found, and the answer names what there is not",
  async (path) => {
    const { call } = await twoVersions();
    const answer = await call(path);
    expect([answer.status, answer.headers.get("x-faaslane-error")]).toEqual([404, "unknown_version"]);
    const version = path.slice(2).split(".")[0];
    expect(await answer.text()).toBe(`error finding function ${path}: it has no version and no tag ${version}\n`);
  },
);

test("while the first snapshot is not whole, a version may yet come", async () => {
  const { table, put, call } = await openGateway({ synced: false });
  const [one, two] = [await replica("one"), await replica("two")];
  const snapshot = (fn: Partial<FunctionEndpoints>, address: string) => put(fn, address, "snapshot");
  snapshot({ version: "v1" }, one);
  const waiting = call("f@v2");
  snapshot({ name: "f@v2", version: "v2" }, two);
  table.apply({ type: "heartbeat" });
  expect(await says(await waiting)).toBe("two");
});

test("a version of no function is no function", async () => {
  const { call } = await twoVersions();
  const answer = await call("g@v1");
  expect([answer.status, answer.headers.get("x-faaslane-error")]).toEqual([404, "unknown_function"]);
});

test("a header asks for a version with calls or a tag, and others are ignored with a reason", async () => {
  const { put, call } = await twoVersions(undefined, {
    traffic: [
      { version: "v1", share: 10_000 },
      { version: "v2", share: 0, tag: "next" },
    ],
  });
  put({ name: "f@v3", version: "v3" }, await replica("three"));
  const ask = async (version: string, path = "f") => {
    const answer = await call(path, { "x-function-version": version });
    return [await says(answer), answer.headers.get("x-function-version-ignored")];
  };
  expect(await ask("v2")).toEqual(["two", null]);
  expect(await ask("next")).toEqual(["two", null]);
  expect(await ask("stable")).toEqual(["one", null]);
  expect(await ask("v3")).toEqual(["one", "v3 has no calls and no tag"]);
  expect(await ask("candidate")).toEqual(["one", "no rollout is under way"]);
  expect(await ask("v1", "f@next")).toEqual(["two", "the address says which"]);
  put({ name: "plain", version: "v1" }, await replica("plain"));
  expect(await ask("v1", "plain")).toEqual(["plain", null]);
  expect(await ask("v2", "plain")).toEqual(["plain", "v2 has no calls and no tag"]);
});

test("a cookie keeps a caller with one version, over two gateways, and says nothing of it", async () => {
  const annotations = { "com.faaslane.sticky": "cookie", "com.faaslane.sticky.ttl": "1h" };
  const gateway = await twoVersions({ prefix: "/faas" }, { annotations });
  const other = await twoVersions(undefined, { annotations });
  const first = await gateway.call("f");
  const [cookie = "", ...none] = first.headers.getSetCookie();
  expect(none).toEqual([]);
  expect(cookie).toMatch(/^fl-v-f=[0-9a-f-]{36}; Path=\/faas\/function\/f; Max-Age=3600; HttpOnly; SameSite=Lax$/);
  expect(first.headers.get("vary")).toBe("X-Function-Version, Cookie");
  const version = await says(first);
  const own = `a=b; ${cookie.split(";")[0]}`;
  for (let n = 0; n < 40; n++) {
    const answer = await (n % 2 ? gateway : other).call("f", { cookie: own });
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(await answer.json()).toEqual({ says: version, cookie: own });
  }
  const secure = await gateway.call("f", { "x-forwarded-proto": "https" });
  expect(secure.headers.getSetCookie()[0]).toMatch(/; Secure$/);
});

test("a function's own cookies and Vary stay beside the platform's", async () => {
  const { put, call } = await openGateway();
  const address = await replica("one", { "set-cookie": "own=1", vary: "Accept" });
  put({ version: "v1", traffic: halves, annotations: { "com.faaslane.sticky": "cookie" } }, address);
  put({ name: "f@v2", version: "v2" }, address);
  const answer = await call("f");
  expect(answer.headers.getSetCookie()).toEqual(["own=1", expect.stringMatching(/^fl-v-f=/)]);
  expect(answer.headers.get("vary")).toBe("Accept, X-Function-Version, Cookie");
});

test("callers are told apart by a header or a parameter", async () => {
  const header = await twoVersions(undefined, { annotations: { "com.faaslane.sticky": "header:X-User" } });
  const query = await twoVersions(undefined, { annotations: { "com.faaslane.sticky": "query:user" } });
  const seen = new Set<string>();
  for (let user = 0; user < 12; user++) {
    const answer = await header.call("f", { "x-user": `${user}` });
    expect(answer.headers.get("vary")).toBe("X-Function-Version, x-user");
    const version = await says(answer);
    seen.add(version);
    for (let n = 0; n < 3; n++) {
      expect(await says(await header.call("f", { "x-user": `${user}` }))).toBe(version);
      expect(await says(await query.call(`f?user=${user}`))).toBe(version);
    }
  }
  expect(seen.size).toBe(2);
});

test("a chosen version that sleeps is woken and waited for, though another is ready", async () => {
  const { put, call, woken } = await openGateway();
  put({ version: "v1", traffic: [{ version: "v2", share: 10_000 }] }, await replica("one"));
  put({ name: "f@v2", version: "v2" });
  const waiting = call("f");
  await eventually("the version is woken", () => woken.includes("f@v2.fns"));
  expect(woken).not.toContain("f.fns");
  put({ name: "f@v2", version: "v2" }, await replica("two"));
  expect(await says(await waiting)).toBe("two");
});

test("abort: the next call of a cookie goes to the stable version, and the cookie stays", async () => {
  const annotations = { "com.faaslane.sticky": "cookie" };
  const { put, call, table } = await twoVersions(undefined, { annotations });
  const one = table.find("f")?.snapshot.endpoints[0]?.address as string;
  let cookie = "";
  await eventually("a caller is on the candidate", async () => {
    const answer = await call("f");
    cookie = answer.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    return (await says(answer)) === "two";
  });
  put({ version: "v1", annotations, traffic: [{ version: "v1", share: 10_000 }] }, one);
  const answer = await call("f", { cookie });
  expect([await says(answer), answer.headers.getSetCookie()]).toEqual(["one", []]);
  put({ version: "v1", annotations, traffic: halves }, one);
  expect(await says(await call("f", { cookie }))).toBe("two");
});

test("calls that wait for a version go on at the function when it has become the main one", async () => {
  const { put, call, table, woken } = await openGateway();
  put({ version: "v1", traffic: [{ version: "v2", share: 10_000 }] }, await replica("one"));
  put({ name: "f@v2", version: "v2" });
  const beside = table.find("f@v2")?.snapshot;
  const waiting = call("f");
  await eventually("it waits", () => woken.length > 0);
  put({ version: "v2" }, await replica("two"));
  if (beside) table.apply({ type: "removed", function: beside });
  expect(await says(await waiting)).toBe("two");
  expect(table.find("f@v2")).toBe(table.find("f"));
  expect(table.find("f")?.load.read(performance.now()).inFlight).toBe(0);
});

test("versions of a function that is removed are gone with it", async () => {
  const { table, call } = await twoVersions();
  for (const name of ["f@v2", "f"]) {
    const known = table.find(name)?.snapshot;
    if (known) table.apply({ type: "removed", function: known });
  }
  expect((await call("f@v1")).status).toBe(404);
  expect([...table.entries()]).toEqual([]);
  expect(table.find("f@v2")).toBeUndefined();
});

test("a function's policy holds for all its versions and addresses, and counts for all together", async () => {
  const annotations = { "com.faaslane.rate-limit": "2/1h" };
  const { put, call } = await twoVersions(undefined, { annotations });
  put({ name: "f@v3", version: "v3", annotations }, await replica("three"));
  const statuses = [];
  for (const path of ["f@v2", "f@v3", "f", "f@v1", "f@v3"]) statuses.push((await call(path)).status);
  expect(statuses).toEqual([200, 200, 429, 429, 429]);
});

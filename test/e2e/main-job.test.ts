import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { descendants, Platform, runCli, running, temporaryFolder } from "../support/platform.ts";

/**
 * The main job, as a user does it: a project with a function, the real platform as a child process, the real CLI.
 * The tests are steps of one story and depend on each other's order.
 */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let receiver: Server;
const callbacks: { headers: IncomingHttpHeaders; body: string }[] = [];

const handler = (greeting: string) => `
module.exports = async (event, context) => {
  if (event.query.log) console.log(event.query.log);
  if (event.query.wait) await new Promise((resolve) => setTimeout(resolve, Number(event.query.wait)));
  return { greeting: "${greeting}", to: event.query.name, env: process.env.WHO, secret: await context.secret("token") };
};
`;

const cli = (...args: string[]) =>
  runCli(args, { cwd: folder.path, env: { OPENFAAS_URL: platform.url, data_dir: join(folder.path, "data") } });

const call = (path: string, init?: RequestInit) => fetch(`${platform.url}/function/greet${path}`, init);

const callbackUrl = () => `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/done`;

beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, "greet"));
  await writeFile(join(folder.path, "greet/handler.js"), handler("hello"));
  await writeFile(
    join(folder.path, "stack.yml"),
    `version: 1.0
provider: { name: openfaas }
functions:
  greet:
    lang: node
    handler: ./greet
    image: greet:latest
    environment: { WHO: 0755 }
    secrets: [token]
    labels: { com.openfaas.scale.min: "2" }
`,
  );
  receiver = createServer((req, res) => {
    let body = "";
    req.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    req.on("end", () => {
      callbacks.push({ headers: req.headers, body });
      res.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path });
});

afterAll(async () => {
  platform?.kill("SIGKILL");
  await platform?.ended;
  receiver?.close();
  await folder?.remove();
});

test("a deploy whose secret is missing says so, and succeeds once it is there", async () => {
  const missing = await cli("up");
  expect(missing.code).toBe(1);
  expect(missing.stdout + missing.stderr).toContain('secrets "token" not found');
  expect(await cli("secret", "create", "token", "--from-literal", "s3cret")).toMatchObject({ code: 0 });
  const up = await cli("up");
  expect({ code: up.code, out: up.stdout + up.stderr }).toMatchObject({
    code: 0,
    out: expect.stringContaining(`URL: ${platform.url}/function/greet`),
  });
});

test("the function answers with its environment and its secret", async () => {
  const response = await call("?name=Ada");
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    expect.stringContaining("application/json"),
  ]);
  expect(await response.json()).toEqual({ greeting: "hello", to: "Ada", env: "0755", secret: "s3cret" });
});

test("list, describe and invoke show it", async () => {
  await eventually("both replicas are ready", async () => {
    const { stdout } = await cli("describe", "greet");
    return /Available Replicas:\s+2/i.test(stdout) && stdout;
  });
  expect((await cli("list")).stdout).toMatch(/greet\s+\d+\s+2/);
  const invoked = await cli("invoke", "greet", "--query", "name=cli");
  expect([invoked.code, JSON.parse(invoked.stdout)]).toEqual([0, expect.objectContaining({ to: "cli" })]);
});

test("an asynchronous call is accepted at once and its result called back", async () => {
  const accepted = await fetch(`${platform.url}/async-function/greet?name=later`, {
    method: "POST",
    headers: { "x-callback-url": callbackUrl() },
  });
  expect([accepted.status, await accepted.text()]).toEqual([202, ""]);
  const callId = accepted.headers.get("x-call-id");
  const done = await eventually("the callback arrives", () =>
    callbacks.find(({ headers }) => headers["x-call-id"] === callId),
  );
  expect(JSON.parse(done.body)).toMatchObject({ greeting: "hello", to: "later" });
  expect(done.headers).toMatchObject({
    "x-function-status": "200",
    "x-function-name": expect.stringMatching(/^greet/),
    "x-duration-seconds": expect.stringMatching(/^\d+\.\d{6}$/),
  });
});

test("calls that share a caller's own call id are all run, under that id", async () => {
  callbacks.length = 0;
  for (const name of ["first", "second"]) {
    const accepted = await fetch(`${platform.url}/async-function/greet?name=${name}`, {
      method: "POST",
      headers: { "x-callback-url": callbackUrl(), "x-call-id": "one-request" },
    });
    expect([accepted.status, accepted.headers.get("x-call-id")]).toEqual([202, "one-request"]);
  }
  await eventually("both callbacks arrive", () => callbacks.length === 2);
  expect(callbacks.map(({ headers }) => headers["x-call-id"])).toEqual(["one-request", "one-request"]);
});

test("an asynchronous call of an unknown function, or with a bad callback, is refused", async () => {
  const unknown = await fetch(`${platform.url}/async-function/nope`, { method: "POST" });
  expect(unknown.status).toBe(404);
  const bad = await fetch(`${platform.url}/async-function/greet`, {
    method: "POST",
    headers: { "x-callback-url": "ftp://x" },
  });
  expect([bad.status, await bad.text()]).toEqual([400, expect.stringContaining("X-Callback-Url")]);
});

test("what the function prints is in its logs", async () => {
  await call("?log=printed-by-the-function");
  const { stdout } = await eventually("the line is there", async () => {
    const logs = await cli("logs", "greet", "--tail=false");
    return logs.stdout.includes("printed-by-the-function") && logs;
  });
  expect(stdout).not.toContain("s3cret");
});

test("an update rolls over without a failed call", async () => {
  let updated = false;
  const statuses: number[] = [];
  const greetings: string[] = [];
  const caller = async () => {
    while (!updated) {
      const response = await call("?wait=5");
      statuses.push(response.status);
      greetings.push(((await response.json()) as { greeting: string }).greeting);
    }
  };
  const callers = Array.from({ length: 8 }, caller);
  await writeFile(join(folder.path, "greet/handler.js"), handler("good day"));
  const up = await cli("up");
  await eventually("only the new generation answers", async () => {
    const recent = greetings.slice(-40);
    return recent.length === 40 && recent.every((greeting) => greeting === "good day");
  });
  updated = true;
  await Promise.all(callers);
  expect(up.code).toBe(0);
  expect(greetings).toContain("hello");
  expect(new Set(statuses)).toEqual(new Set([200]));
});

test("scaled to zero, the next call wakes it", async () => {
  const scale = await platform.control("/system/scale-function/greet", {
    method: "POST",
    body: JSON.stringify({ serviceName: "greet", replicas: 0 }),
  });
  expect(scale.status).toBe(202);
  await eventually("no replica is left", async () => {
    const status = (await (await platform.control("/system/function/greet")).json()) as { availableReplicas?: number };
    return status.availableReplicas === undefined;
  });
  expect((await call("?name=awake")).status).toBe(200);
});

test("metrics count the calls under OpenFaaS's names, without a login, and so does the list", async () => {
  const metrics = await (await fetch(`${platform.metricsUrl}/metrics`)).text();
  const count = /^gateway_function_invocation_total\{function_name="greet\.openfaas-fn",code="200"\} (\d+)$/m.exec(
    metrics,
  );
  expect(Number(count?.[1])).toBeGreaterThan(10);
  const list = (await (await platform.control("/system/functions")).json()) as { invocationCount: number }[];
  expect(list[0]?.invocationCount).toBeGreaterThan(10);
});

test("after kill -9 with 200 accepted calls outstanding, all 200 callbacks arrive", async () => {
  callbacks.length = 0;
  const accepted = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const response = await fetch(`${platform.url}/async-function/greet?wait=100&name=${i}`, {
        method: "POST",
        headers: { "x-callback-url": callbackUrl() },
      });
      expect(response.status).toBe(202);
      return response.headers.get("x-call-id");
    }),
  );
  const children = await descendants(platform.pid);
  const before = callbacks.length;
  platform.kill("SIGKILL");
  await platform.ended;
  expect(before).toBeLessThan(200);
  await eventually("no replica outlives the platform", async () => (await running(children)).length === 0);

  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path });
  await eventually(
    "all callbacks have arrived",
    () => {
      const ids = new Set(callbacks.map(({ headers }) => headers["x-call-id"]));
      return accepted.every((id) => ids.has(id as string));
    },
    30_000,
  );
  expect(new Set(callbacks.map(({ headers }) => headers["x-function-status"]))).toEqual(new Set(["200"]));
});

test("removed, it is gone", async () => {
  expect(await cli("remove", "greet")).toMatchObject({ code: 0 });
  await eventually("calls are 404", async () => (await call("")).status === 404);
  expect((await cli("list", "-q")).stdout.trim()).toBe("");
});

test("SIGTERM stops every child and exits with 0", async () => {
  expect(await cli("up")).toMatchObject({ code: 0 });
  await eventually("it answers", async () => (await call("")).status === 200);
  const children = await descendants(platform.pid);
  expect(children.length).toBeGreaterThan(0);
  expect(await platform.stop()).toBe(0);
  expect(await running(children)).toEqual([]);
});

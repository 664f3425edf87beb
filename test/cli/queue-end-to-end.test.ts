import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { makeWorkspace, type Outcome, runHere, type Workspace } from "./support/run-cli.ts";

let provider: FakeProvider;
let replica: Server;
let gateway: OpenGateway;
let workspace: Workspace;
let broken: boolean;

beforeEach(async () => {
  broken = false;
  workspace = await makeWorkspace();
  provider = await FakeProvider.open();
  replica = createServer(async (req, res) => {
    let body = "";
    for await (const chunk of req.setEncoding("utf8")) body += chunk as string;
    if (broken) res.writeHead(500).end("broken");
    else res.end(body.toUpperCase());
  });
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  provider.put({ name: "shout", endpoints: [{ address, instance: "a", state: "ready" }] });
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    data_dir: join(workspace.path, "data"),
    max_retry_attempts: "0",
    drain_timeout: "1s",
  });
  gateway = await openGateway(config, undefined, createLogger("silent"));
  await eventually("it is known", async () => (await fetch(`${gateway.url}/function/shout`)).status === 200);
});

afterEach(async () => {
  await gateway.close();
  replica.closeAllConnections();
  replica.close();
  await provider.close();
  await workspace[Symbol.asyncDispose]();
});

const cli = (args: string, input = ""): Promise<Outcome> =>
  runHere(args.split(" "), { cwd: workspace.path, env: { OPENFAAS_URL: gateway.url }, input });

test("behind a proxy that takes a prefix away, a call is waited for all the same", async () => {
  const proxy = createServer((req, res) => {
    const headers = { ...req.headers, "x-forwarded-prefix": "/faas" };
    const url = (req.url as string).startsWith("/faas/") ? (req.url as string).slice("/faas".length) : "/elsewhere";
    const onward = request(gateway.url + url, { method: req.method ?? "GET", headers }, (answer) => {
      res.writeHead(answer.statusCode as number, answer.headers);
      answer.pipe(res);
    });
    req.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/faas`;
  const options = { cwd: workspace.path, env: { OPENFAAS_URL: url }, input: "hello" };
  const waited = await runHere(["invoke", "shout", "--async", "--wait"], options);
  proxy.close();
  proxy.closeAllConnections();
  expect([waited.code, waited.stdout]).toEqual([0, "HELLO"]);
});

test("a call is put into the queue, waited for, looked at, given up, replayed", async () => {
  const loud = await cli("invoke shout --async --wait", "hello");
  expect([loud.code, loud.stdout]).toEqual([0, "HELLO"]);
  const [, id = ""] = /call id (\S+)\./.exec(loud.stderr) ?? [];
  expect((await cli(`queue get ${id}`)).stdout).toMatch(/^State: +done$/m);
  expect(await cli(`queue cancel ${id}`)).toMatchObject({ code: 0, stdout: `Had ended before (done): ${id}\n` });

  broken = true;
  const failed = await cli("invoke shout --async --wait", "again");
  expect([failed.code, failed.stdout]).toEqual([1, ""]);
  expect(failed.stderr).toMatch(/the call is dead after 1 attempts, last status 500/);
  expect((await cli("queue status")).stdout).toMatch(/^shout\.openfaas-fn +faas-request +0 +0 +1 /m);
  const listed = await cli("queue dead-letters list shout -j");
  expect(JSON.parse(listed.stdout)).toMatchObject([{ function: "shout", status: 500, attempts: 1 }]);

  broken = false;
  expect((await cli("queue dead-letters replay shout")).stdout).toBe("Replayed: 1\n");
  await eventually("it is done", async () => JSON.parse((await cli("queue status -j")).stdout).dead === 0);
  expect((await cli("queue dead-letters drop --all")).stdout).toBe("Dropped: 0\n");
  expect((await cli("queue dead-letters replay --since tomorrow")).stderr).toContain("since: must be a time");
  expect((await cli("queue get unknown")).stderr).toContain('no call "unknown" is known');
});

test("a call that waits is cancelled", async () => {
  const { stderr } = await cli("invoke shout --async -H X-Delay=1h", "later");
  const [, id = ""] = /call id (\S+)\./.exec(stderr) ?? [];
  for (let times = 0; times < 2; times++) {
    expect(await cli(`queue cancel ${id}`)).toMatchObject({ code: 0, stdout: `Cancelled: ${id}\n` });
  }
});

test("a status of what nobody has called says so", async () => {
  expect(await cli("queue status quiet")).toMatchObject({
    code: 0,
    stdout: "",
    stderr: "No calls to quiet are known.\n",
  });
  const wrong = await cli("queue status --namespace other");
  expect([wrong.code, wrong.stderr]).toEqual([1, "Error: --namespace needs the name of a function\n"]);
});

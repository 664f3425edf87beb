import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { memoryOf } from "../bench/memory.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** Functions and clients that misbehave, against the whole platform; a healthy function answers all the while. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { scale_up_timeout: "8s", max_retry_attempts: "1" } });
  await deploy("healthy", { mode: "classic", fprocess: "cat" });
});

afterAll(async () => {
  expect(await (await fetch(`${platform.url}/function/healthy`, { method: "POST", body: "still here" })).text()).toBe(
    "still here",
  );
  await platform.stop();
  await folder.remove();
});

async function deploy(service: string, env: Record<string, string>, files: Record<string, string> = {}): Promise<void> {
  await buildImage(platform, `${service}:1`, { "faaslane.json": JSON.stringify({ env }), ...files });
  const answer = await control("/system/functions", "POST", { service, image: `${service}:1` });
  expect([answer.status, await answer.text()]).toEqual([202, ""]);
}

const control = (path: string, method: string, body: unknown) =>
  platform.control(path, { method, body: typeof body === "string" ? body : JSON.stringify(body) });

test("a function that exits at once fails its callers quickly, with the reason", async () => {
  await deploy("exits", { mode: "http", fprocess: "false", upstream_url: "http://127.0.0.1:0" });
  const startedAt = performance.now();
  const response = await fetch(`${platform.url}/function/exits`);
  expect([response.status, await response.text()]).toEqual([
    503,
    expect.stringMatching(/exits\.openfaas-fn cannot start: /),
  ]);
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  const status = (await (await platform.control("/system/function/exits")).json()) as { problem: string };
  expect(status.problem).toMatch(/exit/);
});

test("what a crashing function says is for those who are logged in, without secrets", async () => {
  const value = "hunter2-and-more";
  expect((await control("/system/secrets", "POST", { name: "db", value })).status).toBe(202);
  const script = `
    read -r secret < "$FAASLANE_SECRETS_DIR/db"
    encoded=$(printf 'app:%s' "$secret" | base64)
    echo "Error: cannot reach $DATABASE_URL with $secret, $encoded, license $API_KEY" >&2
    exit 3`;
  const env = { mode: "http", fprocess: "sh crash.sh", upstream_url: "http://127.0.0.1:0" };
  await buildImage(platform, "leaks:1", { "faaslane.json": JSON.stringify({ env }), "crash.sh": script });
  const envVars = { DATABASE_URL: "postgres://app:s3cr3t@db.internal/x", API_KEY: "0123456789" };
  const definition = { service: "leaks", image: "leaks:1", envVars, secrets: ["db"] };
  expect((await control("/system/functions", "POST", definition)).status).toBe(202);

  const response = await fetch(`${platform.url}/function/leaks`);
  const told = await response.text();
  expect([response.status, told]).toEqual([
    503,
    expect.stringMatching(/^function leaks\.openfaas-fn cannot start: exited with code \d+(, \d+ restarts?)?\n$/),
  ]);
  expect(response.headers.get("x-call-id")).toMatch(/./);
  const status = (await (await platform.control("/system/function/leaks")).json()) as { problem: string };
  expect(status.problem).toMatch(/^exited with code \d+.*; last output: /);
  for (const secret of [value, "s3cr3t", "0123456789", Buffer.from(`app:${value}`).toString("base64").slice(6, -4)]) {
    expect(status.problem).not.toContain(secret);
  }
  await control("/system/functions", "DELETE", { functionName: "leaks" });
});

test("a function that never listens fails its callers at their deadline, and its status says why", async () => {
  await deploy("deaf", { mode: "http", fprocess: "sleep 1000", upstream_url: "http://127.0.0.1:0" });
  const response = await fetch(`${platform.url}/function/deaf`);
  expect([response.status, await response.text()]).toEqual([503, expect.stringContaining("became ready in time")]);
  const status = (await (await platform.control("/system/function/deaf")).json()) as { problem: string };
  expect(status.problem).toMatch(/listen/);
});

test("a function that never answers is ended by its own time limit", async () => {
  const silent = "export default () => {};\n";
  await deploy("mute", { mode: "inproc", inproc_handler: "./mute.mjs", exec_timeout: "300ms" }, { "mute.mjs": silent });
  const response = await fetch(`${platform.url}/function/mute`);
  expect([response.status, response.headers.get("x-openfaas-internal")]).toEqual([504, "of-watchdog"]);
});

test("a function that floods its log neither blocks nor fills memory nor the disk", async () => {
  const before = await memoryOf(platform.pid);
  // 200 MB, in lines and as one endless line.
  const script =
    "yes 0123456789012345678901234567890123456789 | head -c 100000000 >&2; head -c 100000000 /dev/zero >&2; echo done";
  await deploy("flood", { mode: "serializing", fprocess: "sh flood.sh", exec_timeout: "25s" }, { "flood.sh": script });
  const response = await fetch(`${platform.url}/function/flood`);
  expect([response.status, (await response.text()).trim()]).toEqual([200, "done"]);
  const after = await memoryOf(platform.pid);
  expect(after.pss - before.pss).toBeLessThan(400);
  const logs = await platform.control("/system/logs?name=flood&follow=false");
  let size = 0;
  for await (const chunk of logs.body as ReadableStream<Uint8Array>) size += chunk.length;
  expect(size).toBeLessThan(64 * 1024 * 1024);
});

test("asynchronous calls to a function that takes one at a time are all run: a full function costs no attempt", async () => {
  const handler = "export default (req, res) => void setTimeout(() => res.end(), 20);\n";
  await deploy(
    "single",
    { mode: "inproc", inproc_handler: "./single.mjs", max_inflight: "1" },
    { "single.mjs": handler },
  );
  await eventually("it answers", async () => (await fetch(`${platform.url}/function/single`)).status === 200);
  for (let i = 0; i < 40; i++) {
    expect((await fetch(`${platform.url}/async-function/single`, { method: "POST" })).status).toBe(202);
  }
  const metric = async (pattern: RegExp) =>
    Number(pattern.exec(await (await fetch(`${platform.metricsUrl}/metrics`)).text())?.[1]);
  await eventually(
    "the queue is empty",
    async () => {
      const left = await Promise.all([
        metric(/^gateway_queue_waiting_calls (\d+)/m),
        metric(/^gateway_queue_inflight_calls (\d+)/m),
      ]);
      return left.every((count) => count === 0);
    },
    20_000,
  );
  expect(await metric(/^gateway_queue_dead_calls (\d+)/m)).toBe(0);
  expect(
    await metric(/function_invocation_total\{function_name="single\.openfaas-fn",code="200"\} (\d+)/),
  ).toBeGreaterThanOrEqual(41);
});

test("a function that dies in the middle of a call fails that call only", async () => {
  const handler = `export default (req, res) => {
  if (req.url === "/die") process.kill(process.pid, "SIGKILL");
  else res.end("alive");
};
`;
  await deploy("mortal", { mode: "inproc", inproc_handler: "./mortal.mjs" }, { "mortal.mjs": handler });
  expect((await fetch(`${platform.url}/function/mortal`)).status).toBe(200);
  const dead = await fetch(`${platform.url}/function/mortal/die`);
  expect([dead.status, dead.headers.get("x-openfaas-internal")]).toEqual([500, "proxy"]);
  await eventually("it is back", async () => (await fetch(`${platform.url}/function/mortal`)).status === 200);
});

test.each(["../evil", "Evil", "a/b", "-a", "a.b", "a\r\nX-Evil: 1", "a".repeat(64), "", "1a"])(
  "%j names no function, secret or namespace",
  async (name) => {
    const deployed = await control("/system/functions", "POST", { service: name, image: "healthy:1" });
    expect([deployed.status, deployed.headers.get("x-evil")]).toEqual([400, null]);
    expect(await deployed.text()).toMatch(/service/);
    if (!/^(a\.b|1a|a+)$/.test(name)) {
      const secret = await control("/system/secrets", "POST", { name, value: "v" });
      expect([400, 422]).toContain(secret.status);
    }
    if (!/^1a$/.test(name)) {
      const namespace = await control("/system/namespace/", "POST", { name, labels: { openfaas: "1" } });
      expect(namespace.status).toBe(400);
    }
  },
);

test.each<[what: string, path: string, body: unknown]>([
  ["a deployment", "/system/functions", { service: "big", image: "x", envVars: { A: "x".repeat(8 * 1024 * 1024) } }],
  ["a secret", "/system/secrets", { name: "big", value: "x".repeat(8 * 1024 * 1024) }],
])("an oversized body of %s is 413", async (_what, path, body) => {
  expect((await control(path, "POST", body)).status).toBe(413);
});

test.each(["not json", "[]", "null", "{", '{"service":1}', ""])("%j is no deployment", async (body) => {
  const answer = await control("/system/functions", "POST", body);
  expect([answer.status, (await answer.text()).trim()]).toEqual([400, expect.stringMatching(/./)]);
});

test("an image that was never built is refused with what to do", async () => {
  const answer = await control("/system/functions", "POST", { service: "unbuilt", image: "nobody/knows:1" });
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringMatching(/nobody\/knows:1.*faaslane up/s)]);
});

test("a secret's value is in no answer and no log", async () => {
  const value = "do-not-print-this";
  expect((await control("/system/secrets", "POST", { name: "quiet", value })).status).toBe(202);
  const service = "keeper";
  await buildImage(platform, "keeper:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "classic", fprocess: "cat" } }),
  });
  expect((await control("/system/functions", "POST", { service, image: "keeper:1", secrets: ["quiet"] })).status).toBe(
    202,
  );
  const answers = await Promise.all(
    ["/system/secrets", "/system/functions", "/system/function/keeper", "/system/logs?name=keeper&follow=false"].map(
      async (path) => (await platform.control(path)).text(),
    ),
  );
  expect(answers.join("\n") + platform.stdout + platform.stderr).not.toContain(value);
});

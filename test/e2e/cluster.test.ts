import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { KubeClient } from "../kube/client.ts";
import { eventually } from "../support/eventually.ts";
import { descendants, isAlive, ROOT, temporaryFolder } from "../support/platform.ts";

const FLAGS = ["--disable-warning=ExperimentalWarning"];
const IMAGE = "fn:test";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let kubeconfig: string;
let api: ChildProcess;
let url: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  kubeconfig = join(folder.path, "kubeconfig");
  const images = join(folder.path, "images.json");
  await writeFile(images, JSON.stringify({ [IMAGE]: { env: { fprocess: "cat", healthcheck_interval: "200ms" } } }));
  const main = join(ROOT, "test/support/kube/main.ts");
  api = spawn(process.execPath, [...FLAGS, main, "--kubeconfig", kubeconfig, "--images", images], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  api.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  url = await eventually("the API server listens", () => /http:\S+(?=\n)/.exec(output)?.[0], 30_000);
  await eventually("the kubeconfig is written", () => access(kubeconfig).then(() => true));
}, 60_000);

afterAll(async () => {
  const exited = once(api, "exit");
  api.kill("SIGTERM");
  await exited;
  await folder.remove();
});

/** `npm run test:cluster` without npm, which only starts it. */
function start(env: Record<string, string>) {
  const child = spawn(process.execPath, [...FLAGS, join(ROOT, "test/cluster/main.ts")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: folder.path, ...env },
  });
  const run = { child, output: "", ended: once(child, "close").then(([code]) => code as number | null) };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      run.output += text;
    });
  }
  return run;
}

async function namespaces(): Promise<string[]> {
  const { items } = await new KubeClient({ url }).get("/api/v1/namespaces");
  return items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
}

test("the suite passes against a cluster in another process, and leaves nothing behind", async () => {
  const before = await namespaces();
  const run = start({ KUBECONFIG: kubeconfig, FUNCTION_IMAGE: IMAGE });
  const code = await run.ended;
  // The output first, as it says what is wrong.
  expect(run.output).toContain("nothing is left behind");
  expect(run.output).toMatch(/Tests: +\d+ passed, \d+ total/);
  expect(code).toBe(0);
  expect(await namespaces()).toEqual(before);
}, 120_000);

test("when it is interrupted it leaves nothing behind either", async () => {
  const before = await namespaces();
  const run = start({ KUBECONFIG: kubeconfig, FUNCTION_IMAGE: IMAGE });
  await eventually(
    "a test has deployed something",
    async () => {
      const { items } = await new KubeClient({ url }).get(
        "/apis/apps/v1/deployments?labelSelector=faas_function%3Decho",
      );
      return items.length > 0;
    },
    60_000,
  );
  const processes = await descendants(run.child.pid as number);
  expect(processes.length).toBeGreaterThanOrEqual(3);
  run.child.kill("SIGINT");
  run.child.kill("SIGINT");
  expect(await run.ended).toBe(1);
  expect(run.output).toContain("nothing is left behind");
  expect(await namespaces()).toEqual(before);
  await eventually("all processes have ended", () => !processes.some(isAlive));
}, 120_000);

test("function namespaces of somebody else are left alone", async () => {
  const client = new KubeClient({ url });
  const metadata = { name: "production", annotations: { openfaas: "1" } };
  await client.create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata });
  const run = start({ KUBECONFIG: kubeconfig, FUNCTION_IMAGE: IMAGE });
  await eventually("it says so", () => run.output.includes("left alone: namespaces production"), 60_000);
  run.child.kill("SIGINT");
  await run.ended;
  expect(await namespaces()).toContain("production");
}, 120_000);

test("without a cluster or an image it says what is missing", async () => {
  const run = start({});
  expect(await run.ended).toBe(2);
  expect(run.output).toContain("KUBECONFIG and FUNCTION_IMAGE must be set");
});

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { FunctionStatus } from "../../../provider/contract/functions.ts";
import { eventually } from "../../support/eventually.ts";
import { ProcessRuntime } from "../../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { temporaryFolder } from "../../support/platform.ts";
import { inProcess, type Running, startProcess, writeKubeconfig } from "./support.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let kube: KubeServer;
let provider: Running;
let gateway: Running;

const answering = (version: string) =>
  inProcess(`
    import { readFileSync } from "node:fs";
    export default (req, res) => {
      console.log("called " + req.url);
      if (req.url === "/secret") return res.end(readFileSync(process.env.FAASLANE_SECRETS_DIR + "/api-key"));
      res.end("${version}");
    };`);

beforeAll(async () => {
  folder = await temporaryFolder();
  const runtime = await ProcessRuntime.open({ "hello:1": answering("v1"), "hello:2": answering("v2") });
  kube = await KubeServer.open({ runtime });
  const KUBECONFIG = await writeKubeconfig(kube, folder.path);
  provider = await startProcess("provider/main.ts", { backend: "kubernetes", KUBECONFIG, data_dir: "/nowhere" });
  gateway = await startProcess("gateway/main.ts", {
    functions_provider_url: provider.url,
    data_dir: folder.path,
  });
}, 30_000);

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
  await kube?.close();
  await folder?.remove();
});

const send = async (method: string, path: string, body?: unknown) => {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await fetch(gateway.url + path, init);
  return { status: response.status, text: await response.text() };
};
const status = async () => {
  const { status: code, text } = await send("GET", "/system/function/hello");
  return code === 200 ? (JSON.parse(text) as FunctionStatus) : undefined;
};
const call = async (path = "") => (await fetch(`${gateway.url}/function/hello${path}`)).text();

test("deploy, call, scale, update, sleep, wake and delete, through gateway and provider", async () => {
  const info = JSON.parse((await send("GET", "/system/info")).text);
  expect(info.provider).toMatchObject({ provider: "faaslane", orchestration: "kubernetes" });

  expect((await send("POST", "/system/secrets", { name: "api-key", value: "s3cret" })).status).toBe(202);
  const definition = { service: "hello", image: "hello:1", secrets: ["api-key"] };
  expect(await send("POST", "/system/functions", definition)).toMatchObject({ status: 202 });
  // The gateway holds the call until there is a replica.
  expect(await call()).toBe("v1");
  expect(await call("/secret")).toBe("s3cret");

  expect((await send("POST", "/system/scale-function/hello", { replicas: 3 })).status).toBe(202);
  await eventually("three replicas are ready", async () => (await status())?.availableReplicas === 3);

  expect(await send("PUT", "/system/functions", { ...definition, image: "hello:2" })).toMatchObject({ status: 202 });
  await eventually("only the new version answers", async () => {
    const answers = new Set(await Promise.all(Array.from({ length: 6 }, () => call())));
    for (const answer of answers) expect(["v1", "v2"]).toContain(answer);
    return answers.size === 1 && answers.has("v2");
  });
  expect(await status()).toMatchObject({ image: "hello:2", replicas: 3 });

  expect((await send("POST", "/system/scale-function/hello", { replicas: 0 })).status).toBe(202);
  await eventually("it sleeps", async () => (await status())?.availableReplicas === undefined);
  expect(await call("/awake")).toBe("v2");
  const logs = await eventually("the call is in the log", async () => {
    const { text } = await send("GET", "/system/logs?name=hello&follow=false");
    return text.includes("called /awake") && text;
  });
  expect(JSON.parse(logs.split("\n")[0] ?? "")).toMatchObject({ name: "hello", namespace: "openfaas-fn" });

  expect((await send("DELETE", "/system/functions", { functionName: "hello" })).status).toBe(202);
  expect((await send("GET", "/system/function/hello")).status).toBe(404);
  await eventually("nothing is left in the cluster", async () => {
    const kinds = ["/apis/apps/v1/namespaces/openfaas-fn/deployments", "/api/v1/namespaces/openfaas-fn/pods"];
    const lists = await Promise.all(kinds.map(async (path) => (await fetch(kube.url + path)).json()));
    return (lists as { items: unknown[] }[]).every(({ items }) => items.length === 0);
  });
}, 60_000);

test("what the API server refuses is told with its reason, and is no error of ours", async () => {
  const taken = { service: "hello", image: "hello:1", limits: { memory: "lots" }, secrets: ["nothing"] };
  const refused = await send("POST", "/system/functions", taken);
  expect(refused.status).toBe(400);
  expect(refused.text).toContain("limits.memory");
  expect(refused.text).toContain('secrets "nothing" not found');
  const stop = kube.faults.answer({ status: 403, matches: ({ method }) => method === "PATCH" });
  const forbidden = await send("POST", "/system/functions", { service: "hello", image: "hello:1" });
  stop();
  expect(forbidden).toMatchObject({ status: 403, text: expect.stringContaining("forbidden by a fault") });
});

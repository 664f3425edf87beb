import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { openClusterAccess } from "../../../provider/backends/kubernetes/client/cluster-access.ts";
import { KubernetesClient } from "../../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { describeCluster } from "../../cluster/suite.ts";
import { jsonBody } from "../../support/json-body.ts";
import { ProcessRuntime } from "../../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { temporaryFolder } from "../../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../../support/server-process.ts";
import { NAMESPACE, writeKubeconfig } from "./support.ts";

const IMAGE = "fn:test";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let kube: KubeServer;
let provider: ServerProcess;
let gateway: ServerProcess;
let api: KubernetesClient;

beforeAll(async () => {
  folder = await temporaryFolder();
  // Snapshots are a little late, so pods serve on for a moment when told to go.
  const runtime = await ProcessRuntime.open({ [IMAGE]: { env: { fprocess: "cat", healthcheck_interval: "200ms" } } });
  kube = await KubeServer.open({ runtime });
  const KUBECONFIG = await writeKubeconfig(kube, folder.path);
  api = new KubernetesClient(await openClusterAccess({ kubeconfig: KUBECONFIG }));
  const env = { backend: "kubernetes", cluster_role: "true", KUBECONFIG, data_dir: folder.path };
  provider = await startServerProcess("provider/main.ts", env);
  gateway = await startServerProcess("gateway/process/main.ts", {
    functions_provider_url: provider.url,
    queue: "none",
  });
}, 60_000);

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
  api?.close();
  await kube?.close();
  await folder?.remove();
});

describeCluster("the test API server", () => ({
  gatewayUrl: gateway.url,
  image: IMAGE,
  namespace: NAMESPACE,
  otherNamespace: "staging",
  api,
}));

test("what the API server forbids is told with its reason, and is no error of ours", async () => {
  const stop = kube.faults.answer({ status: 403, matches: ({ method }) => method === "PATCH" });
  const body = jsonBody({ service: "hello", image: IMAGE });
  const forbidden = await fetch(`${gateway.url}/system/functions`, { method: "POST", ...body });
  stop();
  expect(forbidden.status).toBe(403);
  expect(await forbidden.text()).toContain("forbidden by a fault");
});

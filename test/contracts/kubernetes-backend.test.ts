import { KubeConfig } from "@kubernetes/client-node";
import type { Backend } from "../../provider/backends/backend.ts";
import { openKubernetesBackend } from "../../provider/backends/kubernetes/kubernetes-backend.ts";
import { DEFAULT_SETTINGS } from "../../provider/backends/kubernetes/resources/settings.ts";
import { createLogger } from "../../provider/kit/log.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import { type BackendUnderTest, describeBackend } from "./backend-contract.ts";

const NAMESPACE = "openfaas-fn";

// Its replicas serve on for a moment when they are told to go, as a picture is always a little late.
const image = (body: string) => ({
  env: { mode: "inproc", inproc_handler: "./index.mjs", healthcheck_interval: "200ms" },
  files: { "index.mjs": body },
});
const answering = (version: string) =>
  image(`export default (req, res) => { console.log(req.url); res.end("${version}"); };`);

describeBackend("kubernetes", async (): Promise<BackendUnderTest> => {
  const runtime = await ProcessRuntime.open({
    "contract:v1": answering("v1"),
    "contract:v2": answering("v2"),
    "contract:broken": image(`throw new Error("no licence");`),
  });
  const kube = await KubeServer.open({ runtime });
  const config = new KubeConfig();
  config.loadFromString(kube.kubeconfig());
  const open = (): Backend =>
    openKubernetesBackend({
      config,
      settings: { resources: DEFAULT_SETTINGS, clusterRole: true, profilesNamespace: "openfaas" },
      defaultNamespace: NAMESPACE,
      version: { sha: "", release: "test" },
      log: createLogger("silent"),
    });
  let backend = open();
  return {
    get backend() {
      return backend;
    },
    defaultNamespace: NAMESPACE,
    images: { v1: "contract:v1", v2: "contract:v2" },
    brokenImage: "contract:broken",
    // There is no metrics-server beside the test API server.
    unmeasured: true,
    reopen: async () => {
      await backend.close(0);
      backend = open();
    },
    close: async () => {
      await backend.close(0);
      await kube.close();
    },
  };
});

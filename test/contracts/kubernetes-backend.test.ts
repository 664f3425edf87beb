import { ProviderAccount } from "../provider/kubernetes/account.ts";
import { inProcess, NAMESPACE, openBackend } from "../provider/kubernetes/support.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import { type BackendUnderTest, describeBackend } from "./backend-contract.ts";

const answering = (version: string) =>
  inProcess(`
    export default (req, res) => {
      console.log(req.url);
      setTimeout(() => res.end("${version}"), Number(/^\\/(\\d+)/.exec(req.url)?.[1] ?? 0));
    };
  `);

describeBackend("kubernetes", async (): Promise<BackendUnderTest> => {
  const runtime = await ProcessRuntime.open({
    "contract:v1": answering("v1"),
    "contract:v2": answering("v2"),
    "contract:broken": inProcess(`throw new Error("no licence");`),
  });
  const account = new ProviderAccount();
  const kube = await KubeServer.open({ runtime, account });
  const operator = { leaseDurationMs: 1_000 };
  let backend = openBackend(kube, { operator });
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
      backend = openBackend(kube, { operator });
    },
    close: async () => {
      await backend.close(0);
      await kube.close();
      account.expectNothingRefused();
    },
  };
});

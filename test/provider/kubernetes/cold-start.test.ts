import { expect, test } from "@jest/globals";
import { eventually } from "../../support/eventually.ts";
import { ProcessRuntime } from "../../support/kube/kubelet/process-runtime.ts";
import { REAL_NODE } from "../../support/kube/kubelet/timing.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { inProcess, NAMESPACE, openBackend } from "./support.ts";

test("a pod is offered when it answers, before its kubelet reports it Ready", async () => {
  const runtime = await ProcessRuntime.open({ "fn:1": inProcess(`export default (req, res) => res.end("hi");`) });
  // As slow to report readiness as a node whose kubelet probes once in a while.
  const kube = await KubeServer.open({ runtime, timing: { ...REAL_NODE, readyReportMs: 60_000 } });
  const backend = openBackend(kube);
  try {
    await backend.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE });
    const ref = { name: "fn", namespace: NAMESPACE };
    await eventually("it is offered", async () => (await backend.functions.get(ref))?.availableReplicas === 1);
    const list = await fetch(`${kube.url}/api/v1/namespaces/${NAMESPACE}/pods`);
    const { items } = (await list.json()) as {
      items: { status: { conditions: { type: string; status: string }[] } }[];
    };
    const ready = items[0]?.status.conditions.find(({ type }) => type === "Ready");
    expect(ready?.status).toBe("False");
  } finally {
    await backend.close(0);
    await kube.close();
  }
});

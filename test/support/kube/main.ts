// Runs the test API server by hand, or in a process of its own:
//   node test/support/kube/main.ts [--port N] [--kubeconfig FILE] [--token T] [--images FILE] [--real-node]
// Pods are pods in appearance, unless --images names a JSON file with what to run for each image: { "fn:1": { "env": …,
// "files": …, "cwd": … } }. With --real-node things take as long as on a real node.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { FakeRuntime } from "./kubelet/fake-runtime.ts";
import { type ImageSpec, ProcessRuntime } from "./kubelet/process-runtime.ts";
import { REAL_NODE } from "./kubelet/timing.ts";
import { KubeServer } from "./server.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    kubeconfig: { type: "string" },
    token: { type: "string" },
    images: { type: "string" },
    "real-node": { type: "boolean" },
  },
});
const { images } = values;
const kube = await KubeServer.open({
  port: Number(values.port ?? 0),
  token: values.token ?? "",
  runtime:
    images === undefined
      ? new FakeRuntime()
      : await ProcessRuntime.open(JSON.parse(readFileSync(images, "utf8")) as Record<string, ImageSpec>),
  ...(values["real-node"] === true && { timing: REAL_NODE }),
});
if (values.kubeconfig !== undefined) writeFileSync(values.kubeconfig, kube.kubeconfig(), { mode: 0o600 });
process.stdout.write(`${kube.url}\n`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void kube.close());

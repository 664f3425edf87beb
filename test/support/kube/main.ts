// Runs the test API server by hand: node test/support/kube/main.ts [--port N] [--kubeconfig FILE] [--token T]
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { KubeServer } from "./server.ts";

const { values } = parseArgs({
  options: { port: { type: "string" }, kubeconfig: { type: "string" }, token: { type: "string" } },
});
const kube = await KubeServer.open({ port: Number(values.port ?? 0), token: values.token ?? "" });
if (values.kubeconfig !== undefined) writeFileSync(values.kubeconfig, kube.kubeconfig(), { mode: 0o600 });
process.stdout.write(`${kube.url}\n`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void kube.close());

// How long the call waits that wakes a function on Kubernetes: node test/bench/cold-start.ts [starts]
// Before that, what of it is the start of Node and of the watchdog. Against the test API server, whose node takes as long as a real one was measured to take; processes are real.

import { setTimeout as delay } from "node:timers/promises";
import { writeKubeconfig } from "../provider/kubernetes/support.ts";
import { freePort } from "../support/free-port.ts";
import { jsonBody } from "../support/json-body.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { REAL_NODE, type Timing } from "../support/kube/kubelet/timing.ts";
import { KubeServer } from "../support/kube/server.ts";
import { temporaryFolder } from "../support/platform.ts";
import { startServerProcess } from "../support/server-process.ts";
import { measureWatchdogStart } from "./watchdog-start.ts";

const STARTS = Number(process.argv[2] ?? 7);
/** A phase of `Server-Timing`. */
const PHASE = /faaslane-([\w-]+);dur=([\d.]+)/g;

async function measure(what: string, { announces, timing }: { announces: boolean; timing: Timing }): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const folder = await temporaryFolder();
  opened.defer(() => folder.remove());
  const runtime = await ProcessRuntime.open({
    "fn:1": {
      env: { mode: "inproc", inproc_handler: "./index.mjs", healthcheck_interval: "0s" },
      files: { "index.mjs": "export default (req, res) => res.end('hi');" },
    },
  });
  const kube = await KubeServer.open({ runtime, timing });
  opened.defer(() => kube.close());
  const announcePort = String(await freePort());
  const provider = await startServerProcess("provider/main.ts", {
    backend: "kubernetes",
    KUBECONFIG: await writeKubeconfig(kube, folder.path),
    data_dir: folder.path,
    ...(announces && { announce_url: `http://127.0.0.1:${announcePort}/`, announce_port: announcePort }),
  });
  opened.defer(async () => void (await provider.stop()));
  const gateway = await startServerProcess("gateway/process/main.ts", {
    functions_provider_url: provider.url,
    data_dir: folder.path,
    queue: "none",
  });
  opened.defer(async () => void (await gateway.stop()));

  const send = async (method: string, path: string, body: object) => {
    const answer = await fetch(gateway.url + path, { method, ...jsonBody(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  await send("POST", "/system/functions", { service: "fn", image: "fn:1" });
  const waits: number[] = [];
  const phases = new Map<string, number[]>();
  for (let start = 0; start < STARTS; start += 1) {
    await send("POST", "/system/scale-function/fn", { replicas: 0 });
    while (kube.store.list("pods").length > 0) await delay(20);
    const begun = performance.now();
    const answer = await fetch(`${gateway.url}/function/fn`);
    await answer.text();
    waits.push(performance.now() - begun);
    for (const [, phase = "", ms] of (answer.headers.get("server-timing") ?? "").matchAll(PHASE)) {
      phases.set(phase, [...(phases.get(phase) ?? []), Number(ms)]);
    }
  }
  const at = (times: readonly number[], share: number) =>
    Math.round([...times].sort((a, b) => a - b)[Math.floor((times.length - 1) * share)] as number);
  process.stdout.write(`${what}: p50 ${at(waits, 0.5)} ms, worst ${at(waits, 1)} ms of ${STARTS}\n`);
  // Those of the replica are from its creation; what is left out here nobody saw.
  for (const [phase, times] of phases) process.stdout.write(`  ${phase.padEnd(12)} p50 ${at(times, 0.5)} ms\n`);
}

const starts = await temporaryFolder();
await measureWatchdogStart(starts.path, STARTS * 3);
await starts.remove();
await measure("announced", { announces: true, timing: REAL_NODE });
await measure("probed", { announces: false, timing: REAL_NODE });

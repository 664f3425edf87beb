import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { V1Probe } from "@kubernetes/client-node";
import { ReadinessProber } from "../../../provider/backends/kubernetes/cache/prober.ts";
import { announcedTarget, probeTarget } from "../../../provider/backends/kubernetes/resources/probe-target.ts";
import { trimPod } from "../../../provider/backends/kubernetes/resources/trim.ts";
import { eventually } from "../../support/eventually.ts";
import { LoopbackSubnet } from "../../support/kube/kubelet/loopback.ts";

let subnet: LoopbackSubnet;
let prober: ReadinessProber;
let answered: string[];
const opened: (() => unknown)[] = [];

beforeEach(async () => {
  subnet = await LoopbackSubnet.open();
  answered = [];
  prober = new ReadinessProber((key) => answered.push(key));
});

afterEach(async () => {
  prober.close();
  for (const close of opened.splice(0)) close();
  await subnet.close();
});

interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
}

/** A pod's container, and every path that it was asked for. */
async function serve(answer: (path: string, asked: readonly string[]) => Reply) {
  const ip = subnet.take();
  const asked: string[] = [];
  const server = createServer((req, res) => {
    const path = req.url ?? "";
    asked.push(path);
    const { status, headers } = answer(path, asked);
    res.writeHead(status, headers).end();
  });
  await once(server.listen(8080, ip), "listening");
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { ip, asked };
}

/** As the provider keeps it; its container runs unless told otherwise. */
function target(ip: string, readinessProbe: V1Probe, isRunning = true) {
  const containers = [
    { name: "sidecar", readinessProbe: { httpGet: { path: "/sidecar", port: 15021 } } },
    { name: "fn", readinessProbe },
  ];
  const metadata = { name: "fn-1", uid: "u", labels: { faas_function: "fn" } };
  const state = isRunning ? { running: {} } : { waiting: { reason: "ContainerCreating" } };
  const containerStatuses = [{ name: "fn", image: "", imageID: "", ready: false, restartCount: 0, state }];
  const status = { podIP: ip, phase: "Running", containerStatuses };
  const found = probeTarget(trimPod({ metadata, spec: { containers }, status }));
  if (!found) throw new Error("nobody to ask");
  return found;
}

const http = (path: string): V1Probe => ({ httpGet: { path, port: 8080 } });
const LOCK_FILE: V1Probe = { exec: { command: ["cat", "/tmp/.lock"] } };
const offered = () => eventually("it is offered", () => answered.length > 0);

/** Time for whoever would be offered to be so: another one is, after several rounds. */
async function severalRounds(): Promise<void> {
  const other = await serve((_path, { length }) => ({ status: length < 6 ? 503 : 200 }));
  prober.watch("other", target(other.ip, http("/up")));
  await eventually("another one is offered", () => answered.includes("other"));
}

test("what its kubelet asks, and nothing else: for the oldest watchdogs all but their health is a call", async () => {
  const { ip, asked } = await serve((_path, { length }) => ({ status: length < 3 ? 503 : 200 }));
  prober.watch("fn-1", target(ip, http("/_/health")));
  await eventually("it is well", () => asked.length === 3);
  await severalRounds();
  expect(asked).toEqual(["/_/health", "/_/health", "/_/health"]);
  // That says nothing of the function behind it.
  expect(answered).toEqual(["other"]);
});

test("after the delay that its kubelet keeps, from when it is seen to run", async () => {
  const { ip, asked } = await serve(() => ({ status: 200 }));
  const probe = { ...http("/up"), initialDelaySeconds: 1 };
  prober.watch("fn-1", target(ip, probe, false));
  await severalRounds();
  const seenAt = performance.now();
  prober.watch("fn-1", target(ip, probe));
  await eventually("it is asked", () => asked.length === 1);
  expect(performance.now() - seenAt).toBeGreaterThanOrEqual(990);
  await eventually("it is offered", () => answered.includes("fn-1"));
});

test("as often in a row, and as far apart, as its kubelet does", async () => {
  const at: number[] = [];
  const { ip } = await serve((_path, { length }) => {
    at.push(performance.now());
    return { status: length === 2 ? 503 : 200 };
  });
  prober.watch("fn-1", target(ip, { ...http("/up"), successThreshold: 2, periodSeconds: 1 }));
  await offered();
  // A success, a failure that takes it back, and two more.
  expect(at).toHaveLength(4);
  const [first = 0, second = 0, third = 0, fourth = 0] = at;
  // One that arrives late makes the next one look early.
  expect([second - first, fourth - third].every((ms) => ms >= 800)).toBe(true);
});

test("again when it has taken longer than its kubelet waits", async () => {
  const ip = subnet.take();
  let asked = 0;
  const server = createServer((_req, res) => void (++asked > 1 && res.end()));
  await once(server.listen(8080, ip), "listening");
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  prober.watch("fn-1", target(ip, { ...http("/up"), timeoutSeconds: 2 }));
  const begunAt = performance.now();
  await offered();
  expect(performance.now() - begunAt).toBeGreaterThanOrEqual(1_990);
});

test("never where the delay is longer than a timer counts", () => {
  expect(target("10.0.0.1", { ...http("/up"), initialDelaySeconds: 2 ** 31 - 1 }).delayMs).toBe(2 ** 31 - 1);
});

test("a path of its own when it was deployed with one", async () => {
  const { ip, asked } = await serve((path, { length }) => ({ status: path === "/up" && length > 2 ? 204 : 500 }));
  prober.watch("fn-1", target(ip, http("/up")));
  await offered();
  expect(new Set(asked)).toEqual(new Set(["/up"]));
});

test("whether it takes calls, of a watchdog that says where it tells", async () => {
  const { ip, asked } = await serve((path, { length }) =>
    path === "/_/health"
      ? { status: 200, headers: { "X-Faaslane-Ready-Path": "/_/ready" } }
      : { status: length < 4 ? 503 : 200 },
  );
  prober.watch("fn-1", target(ip, http("/_/health")));
  await offered();
  expect(asked).toEqual(["/_/health", "/_/ready", "/_/ready", "/_/ready"]);
});

test("nothing where a lock file tells, unless it has announced itself", async () => {
  const [silent, own] = [await serve(() => ({ status: 200 })), await serve(() => ({ status: 200 }))];
  prober.watch("silent", target(silent.ip, LOCK_FILE));
  prober.watch("own", announcedTarget(target(own.ip, LOCK_FILE)));
  await offered();
  // The other one would have been asked first.
  expect([answered, own.asked, silent.asked]).toEqual([["own"], ["/_/ready"], []]);
});

test("of its own path even when it has announced itself", async () => {
  const { ip } = await serve(() => ({ status: 200 }));
  expect(announcedTarget(target(ip, http("/up"))).path).toBe("/up");
  expect(announcedTarget(target(ip, http("/_/health"))).path).toBe("/_/ready");
});

import { afterEach, expect, test } from "@jest/globals";
import type { Backend } from "../../../provider/backends/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { ProcessRuntime } from "../../support/kube/kubelet/process-runtime.ts";
import type { Timing } from "../../support/kube/kubelet/timing.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { inProcess, NAMESPACE, openBackend } from "./support.ts";

let backend: Backend;
let kube: KubeServer;

async function open(timing: Partial<Timing>): Promise<void> {
  const runtime = await ProcessRuntime.open({
    "fn:1": inProcess(`console.log("hello"); export default (req, res) => res.end("hi");`),
  });
  kube = await KubeServer.open({ runtime, timing });
  backend = openBackend(kube);
}

afterEach(async () => {
  await backend.close(0);
  await kube.close();
});

const ref = { name: "fn", namespace: NAMESPACE };

async function logs(more: { readonly signal?: AbortSignal } = {}): Promise<string[]> {
  const lines: string[] = [];
  const { signal = new AbortController().signal } = more;
  for await (const { text } of backend.logs({ ...ref, follow: false }, signal)) lines.push(text);
  return lines;
}

const create = (image = "fn:1") => backend.functions.create({ service: "fn", image, namespace: NAMESPACE });

test("of a pod that is being made are there as soon as it has started", async () => {
  await open({ sandboxMs: 1_000 });
  await create();
  expect((await logs()).join("")).toContain("hello");
}, 30_000);

test("of a function without pods yet, too", async () => {
  await open({ sandboxMs: 200 });
  await create();
  await backend.functions.scale(ref, 0);
  await eventually("its pods are gone", () => kube.store.list("pods").length === 0);
  expect(await logs()).toEqual([]);
  await backend.functions.scale(ref, 1);
  expect((await logs()).join("")).toContain("hello");
}, 30_000);

test("of a pod that takes its time say so", async () => {
  await open({ sandboxMs: 600_000 });
  await create();
  expect(await logs()).toEqual(["no output yet: the replica is waiting to start: ContainerCreating\n"]);
}, 30_000);

test("of a pod that cannot start say so at once", async () => {
  await open({});
  await create("nowhere:1");
  await eventually("its image is missed", async () =>
    /cannot be pulled/.test((await backend.functions.get(ref))?.problem ?? ""),
  );
  const begunAt = performance.now();
  expect(await logs()).toEqual([expect.stringMatching(/^no output yet: the replica is waiting to start: .*pull/i)]);
  expect(performance.now() - begunAt).toBeLessThan(4_000);
}, 30_000);

test("end when their reader leaves while a start is waited for", async () => {
  await open({ sandboxMs: 600_000 });
  await create();
  const leave = new AbortController();
  const reading = logs({ signal: leave.signal });
  await eventually("it asks", () => kube.faults.requests.some(({ path }) => path.includes("/log")));
  const begunAt = performance.now();
  leave.abort();
  await reading;
  expect(performance.now() - begunAt).toBeLessThan(4_000);
}, 30_000);

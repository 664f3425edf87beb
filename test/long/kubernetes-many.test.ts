import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { FunctionStatus } from "../../contract/functions.ts";
import { type Answer, KubeClient } from "../kube/client.ts";
import { NAMESPACE, writeKubeconfig } from "../provider/kubernetes/support.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { KubeServer } from "../support/kube/server.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let kube: KubeServer;
const providers: ServerProcess[] = [];

beforeEach(async () => {
  folder = await temporaryFolder();
  kube = await KubeServer.open();
});

afterEach(async () => {
  await Promise.all(providers.splice(0).map((provider) => provider.stop()));
  await kube.close();
  await folder.remove();
});

async function startProvider(): Promise<ServerProcess> {
  const KUBECONFIG = await writeKubeconfig(kube, folder.path);
  const env = {
    backend: "kubernetes",
    KUBECONFIG,
    data_dir: join(folder.path, String(providers.length)),
    operator_lease_duration: "2s",
  };
  const provider = await startServerProcess("provider/main.ts", env);
  providers.push(provider);
  return provider;
}

async function send({ url }: ServerProcess, method: string, path: string, body?: unknown) {
  const response = await fetch(url + path, body === undefined ? { method } : { method, ...jsonBody(body) });
  return { status: response.status, text: await response.text() };
}
const read = async (provider: ServerProcess, path: string): Promise<unknown> => {
  const { status, text } = await send(provider, "GET", path);
  expect(status).toBe(200);
  return JSON.parse(text);
};

/** Largest memory that a process has had, in MiB. */
async function peakMemory({ pid }: ServerProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

test("of two providers that write the same functions at once each is obeyed or told of the other", async () => {
  const [one, other] = [await startProvider(), await startProvider()] as const;
  const names = ["a", "b", "c", "d"];
  const definition = (service: string, image: string) => ({ service, image, envVars: { image } });

  const made = await Promise.all(
    names.flatMap((name) => [
      send(one, "POST", "/system/functions", definition(name, "one:1")),
      send(other, "POST", "/system/functions", definition(name, "other:1")),
    ]),
  );
  for (const { status } of made) expect([202, 409]).toContain(status);
  expect(made.filter(({ status }) => status === 202).length).toBeGreaterThanOrEqual(names.length);

  for (let round = 0; round < 5; round += 1) {
    const written = await Promise.all(
      names.flatMap((name) => [
        send(one, "PUT", "/system/functions", definition(name, `one:${round}`)),
        send(other, "POST", `/system/scale-function/${name}`, { replicas: 1 + (round % 3) }),
        send(other, "PUT", "/system/functions", definition(name, `other:${round}`)),
        send(one, "POST", `/system/scale-function/${name}`, { replicas: 1 + (round % 2) }),
      ]),
    );
    for (const answer of written) expect(answer).toEqual({ status: 202, text: "" });
  }
  const client = new KubeClient(kube);
  for (const name of names) {
    await eventually(`both tell the same of ${name}, and what is there`, async () => {
      const path = `/system/function/${name}`;
      const told = (await Promise.all([read(one, path), read(other, path)])) as FunctionStatus[];
      const { spec } = await client.get(`${DEPLOYMENTS}/${name}`);
      const [{ image, env }] = spec.template.spec.containers;
      // Whole definitions win, not parts of them.
      expect(env.find((variable: Answer) => variable.name === "image").value).toBe(image);
      expect(["one:4", "other:4"]).toContain(image);
      return told.every((status) => status.image === image && status.replicas === spec.replicas);
    });
  }
  const gone = await Promise.all(
    names.flatMap((functionName) => [one, other].map((p) => send(p, "DELETE", "/system/functions", { functionName }))),
  );
  for (const { status } of gone) expect([202, 404]).toContain(status);
  for (const provider of [one, other]) {
    await eventually("nothing is left", async () => ((await read(provider, "/system/functions")) as []).length === 0);
  }
}, 60_000);

test("1,000 functions that are deployed in one go are all accepted", async () => {
  const COUNT = 1_000;
  const provider = await startProvider();
  await read(provider, "/system/functions");
  const asked = kube.faults.requests.length;
  const names = Array.from({ length: COUNT }, (_, index) => `fn-${String(index).padStart(4, "0")}`);
  const since = Date.now();
  const answers = await Promise.all(
    names.map((service) => send(provider, "POST", "/system/functions", { service, image: "fn:1" })),
  );
  for (const answer of answers) expect(answer).toEqual({ status: 202, text: "" });
  const acceptedMs = Date.now() - since;
  const list = (await read(provider, "/system/functions")) as FunctionStatus[];
  expect(list.map(({ name }) => name)).toEqual(names);
  await eventually(
    "all of them are ready",
    async () => {
      const statuses = (await read(provider, "/system/functions")) as FunctionStatus[];
      return statuses.length === COUNT && statuses.every(({ availableReplicas }) => availableReplicas === 1);
    },
    60_000,
  );
  const isTold = ({ status }: Answer) =>
    status?.conditions?.some(({ type, status }: Answer) => type === "Healthy" && status === "True");
  await eventually(
    "all Functions say so too",
    () => kube.store.list("functions.openfaas.com").filter(isTold).length === COUNT,
    60_000,
  );
  const requests = kube.faults.requests.slice(asked);
  const byKind = Map.groupBy(requests, ({ verb, resource, subresource }) =>
    `${verb} ${resource} ${subresource}`.trim(),
  );
  const counts = Object.fromEntries([...byKind].map(([kind, group]) => [kind, group.length]));
  const memory = await peakMemory(provider);
  process.stderr.write(
    `1,000 functions: accepted within ${acceptedMs} ms, ${JSON.stringify(counts)}, ${Math.round(memory)} MiB at most\n`,
  );
  expect(requests.length).toBeLessThan(COUNT * 15);
  expect(memory).toBeLessThan(250);
}, 180_000);

import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { Backend } from "../../../provider/backends/backend.ts";
import { measureUsage } from "../../../provider/backends/kubernetes/usage.ts";
import { deployment, KubeClient, service } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;

let kube: KubeServer;
let client: KubeClient;
let backend: Backend;

beforeEach(async () => {
  kube = await KubeServer.open();
  client = new KubeClient(kube);
  backend = openBackend(kube);
});

afterEach(async () => {
  await backend.close(0);
  await kube.close();
});

const ref = (name: string) => ({ name, namespace: NAMESPACE });
const seen = (name: string) => eventually(`${name} is seen`, async () => await backend.functions.get(ref(name)));

test("a function of faas-netes is taken over with its replicas", async () => {
  const env = [{ name: "old", value: "1" }];
  const theirs = deployment("fn", { replicas: 2 }, { env });
  await client.create(`${DEPLOYMENTS}?fieldManager=faas-netes`, theirs);
  await client.create(`${SERVICES}?fieldManager=faas-netes`, service("fn"));
  expect(await seen("fn")).toMatchObject({ image: "fn:1", envVars: { old: "1" }, replicas: 2 });

  await backend.functions.update({ service: "fn", image: "fn:2", namespace: NAMESPACE, envVars: { fresh: "2" } });
  const { spec, metadata } = await client.get(`${DEPLOYMENTS}/fn`);
  const names = spec.template.spec.containers[0].env.map(({ name }: { name: string }) => name);
  expect(names).toContain("fresh");
  expect(spec.replicas).toBe(2);
  const managers = metadata.managedFields.map(({ manager }: { manager: string }) => manager);
  expect(managers).toContain("faaslane");

  const { generation } = (await client.get(`${DEPLOYMENTS}/fn`)).metadata;
  await backend.functions.update({ service: "fn", image: "fn:2", namespace: NAMESPACE, envVars: { fresh: "2" } });
  expect((await client.get(`${DEPLOYMENTS}/fn`)).metadata.generation).toBe(generation);
});

test("what was edited by hand is put right by the next deploy, and replicas stay", async () => {
  const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE };
  await backend.functions.create(definition);
  const template = { spec: { containers: [{ name: "fn", image: "evil:1" }] } };
  await client.patch(`${DEPLOYMENTS}/fn`, { spec: { replicas: 3, template } }, "strategic-merge");
  await eventually("the edit is seen", async () => (await seen("fn")).image === "evil:1");
  await backend.functions.update(definition);
  expect(await seen("fn")).toMatchObject({ image: "fn:1", replicas: 3 });
});

test("what was deleted by hand is gone, and can be made anew", async () => {
  const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE };
  await backend.functions.create(definition);
  await client.delete(`${DEPLOYMENTS}/fn`);
  await eventually("it is gone", async () => (await backend.functions.get(ref("fn"))) === undefined);
  await backend.functions.create(definition);
  expect(await seen("fn")).toMatchObject({ image: "fn:1" });
});

test("Deployments that are no functions are not shown, changed or removed", async () => {
  const plain = deployment("db");
  const labels = { app: "db" };
  const spec = { ...plain.spec, selector: { matchLabels: labels }, template: { ...plain.spec.template } };
  spec.template = { ...spec.template, metadata: { labels: labels as never } };
  await client.create(DEPLOYMENTS, { ...plain, metadata: { name: "db", namespace: NAMESPACE }, spec });
  expect(await backend.functions.get(ref("db"))).toBeUndefined();
  await expect(backend.functions.remove(ref("db"))).rejects.toMatchObject({ kind: "notFound" });
  await expect(backend.functions.scale(ref("db"), 0)).rejects.toMatchObject({ kind: "notFound" });
  const create = backend.functions.create({ service: "db", image: "fn:1", namespace: NAMESPACE });
  await expect(create).rejects.toMatchObject({ kind: "conflict" });
  expect(await backend.functions.list(NAMESPACE)).toEqual([]);
});

test("what looks like a function outside of the namespaces for functions is left alone", async () => {
  const elsewhere = "/apis/apps/v1/namespaces/openfaas/deployments";
  await client.create(elsewhere, { ...deployment("fn"), metadata: { name: "fn", labels: { faas_function: "fn" } } });
  const there = { name: "fn", namespace: "openfaas" };
  expect(await backend.functions.get(there)).toBeUndefined();
  await expect(backend.functions.remove(there)).rejects.toMatchObject({ kind: "notFound" });
  await expect(backend.functions.scale(there, 0)).rejects.toMatchObject({ kind: "notFound" });
  const logs = backend.logs({ ...there, follow: false }, new AbortController().signal)[Symbol.asyncIterator]();
  await expect(logs.next()).rejects.toMatchObject({ kind: "notFound" });
  expect((await client.get(`${elsewhere}/fn`)).spec.replicas).toBe(1);
});

test("secrets of others are neither listed nor changed", async () => {
  const secrets = `/api/v1/namespaces/${NAMESPACE}/secrets`;
  await client.create(secrets, { metadata: { name: "theirs" }, stringData: { a: "b" } });
  expect(await backend.secrets.list(NAMESPACE)).toEqual([]);
  const mine = backend.secrets.update(ref("theirs"), Buffer.from("x"));
  await expect(mine).rejects.toMatchObject({ kind: "notFound" });
  await expect(backend.secrets.remove(ref("theirs"))).rejects.toMatchObject({ kind: "notFound" });
  await expect(backend.secrets.create(ref("theirs"), Buffer.from("x"))).rejects.toMatchObject({ kind: "conflict" });
});

test("usage is summed over containers, in milli-cores and bytes", async () => {
  const items = [
    { containers: [{ usage: { cpu: "1500000n", memory: "2Mi" } }, { usage: { cpu: "250m", memory: "1024Ki" } }] },
    { containers: [{ usage: { cpu: "2", memory: "1048576" } }] },
  ];
  const asked: string[] = [];
  const get = async <T>(path: string): Promise<T> => {
    asked.push(path);
    return { items } as T;
  };
  expect(await measureUsage({ get }, ref("fn"))).toEqual({ cpu: 2252, totalMemoryBytes: 4 * 1024 ** 2 });
  expect(asked).toEqual([`/apis/metrics.k8s.io/v1beta1/namespaces/${NAMESPACE}/pods`]);
});

import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Backend } from "../../../provider/backends/backend.ts";
import { readPodUsage } from "../../../provider/backends/kubernetes/pods/usage.ts";
import { type Answer, deployment, KubeClient, service } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { theirDeployment, theirService } from "../../support/faas-netes.ts";
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

type Entry = { manager: string; operation: string; subresource?: string; fieldsV1: object };
const variables = ({ spec }: Answer): string[] =>
  spec.template.spec.containers[0].env.map(({ name }: { name: string }) => name);
/** Who owns fields otherwise than by applying them, status and scale apart. */
const updaters = ({ metadata }: Answer): string[] =>
  (metadata.managedFields as Entry[]).flatMap(({ manager, operation, subresource }) =>
    operation === "Update" && !subresource ? [manager] : [],
  );
const withoutSystemFields = ({ metadata, spec, status: _, ...rest }: Answer) => {
  const { uid: _u, resourceVersion: _r, creationTimestamp: _c, generation: _g, ...meta } = metadata;
  const { clusterIP: _i, clusterIPs: _s, ...bare } = spec;
  return { ...rest, metadata: meta, spec: bare };
};

describe("a function of faas-netes", () => {
  const definition = { service: "fn", image: "fn:2", namespace: NAMESPACE, envVars: { fresh: "2" } };
  const theirs = () => {
    const { spec, ...rest } = deployment("fn", { replicas: 2 }, { env: [{ name: "old", value: "1" }] });
    const metadata = { labels: { faas_function: "fn", stage: "old" } };
    return { ...rest, spec: { ...spec, template: { ...spec.template, metadata } } };
  };
  const make = async () => {
    await client.create(`${DEPLOYMENTS}?fieldManager=faas-netes`, theirs());
    const { metadata, ...rest } = service("fn");
    const annotations = { topic: "old" };
    await client.create(`${SERVICES}?fieldManager=faas-netes`, { ...rest, metadata: { ...metadata, annotations } });
  };

  test("is taken over with its replicas, and what the definition lacks goes", async () => {
    await make();
    expect(await seen("fn")).toMatchObject({ image: "fn:1", envVars: { old: "1" }, labels: { stage: "old" } });
    await backend.functions.update(definition);
    const live = await client.get(`${DEPLOYMENTS}/fn`);
    expect(variables(live)).toContain("fresh");
    expect(variables(live)).not.toContain("old");
    expect(live.spec.template.metadata.labels).toEqual({ faas_function: "fn" });
    expect(live.spec.replicas).toBe(2);
    expect(updaters(live)).toEqual([]);
    const made = await client.get(`${SERVICES}/fn`);
    expect(made.metadata.annotations.topic).toBeUndefined();
    expect(updaters(made)).toEqual([]);
    expect(await seen("fn")).toMatchObject({ image: "fn:2", envVars: { fresh: "2" }, replicas: 2 });

    const { generation } = live.metadata;
    await backend.functions.update(definition);
    expect((await client.get(`${DEPLOYMENTS}/fn`)).metadata.generation).toBe(generation);
    await backend.functions.update({ ...definition, envVars: {} });
    expect(variables(await client.get(`${DEPLOYMENTS}/fn`))).not.toContain("fresh");
  });

  test("that was edited by hand is taken over with the edits to its spec, and other marks stay", async () => {
    await make();
    const env = [
      { name: "old", value: "by hand" },
      { name: "more", value: "by hand" },
    ];
    const template = { spec: { containers: [{ name: "fn", env }] } };
    const edit = { metadata: { annotations: { owner: "me" } }, spec: { template } };
    await client.patch(`${DEPLOYMENTS}/fn?fieldManager=kubectl-edit`, edit, "strategic-merge");
    await client.patch(`${DEPLOYMENTS}/fn?fieldManager=other`, { metadata: { labels: { team: "x" } } });
    await backend.functions.update(definition);
    const live = await client.get(`${DEPLOYMENTS}/fn`);
    expect(variables(live)).toEqual(["OPENFAAS_NAME", "OPENFAAS_NAMESPACE", "fresh"]);
    expect(live.metadata.annotations.owner).toBe("me");
    expect(live.metadata.labels.team).toBe("x");
    expect(updaters(live).sort()).toEqual(["kubectl-edit", "other"]);
    const left = live.metadata.managedFields.find(({ manager }: Entry) => manager === "kubectl-edit");
    expect(left.fieldsV1).toEqual({ "f:metadata": { "f:annotations": { "f:owner": {} } } });
  });

  test("that says everything that a stack file can is taken over", async () => {
    await client.create(`/api/v1/namespaces/${NAMESPACE}/secrets`, { metadata: { name: "api-key" } });
    await client.create(`${DEPLOYMENTS}?fieldManager=faas-netes`, withoutSystemFields(theirDeployment()));
    await client.create(`${SERVICES}?fieldManager=faas-netes`, withoutSystemFields(theirService()));
    const before = await seen("shout");
    expect(before).toMatchObject({ secrets: ["api-key"], limits: { memory: "128Mi", cpu: "100m" } });
    await backend.functions.update({ service: "shout", image: "docker.io/local/fn-echo:2", namespace: NAMESPACE });
    const live = await client.get(`${DEPLOYMENTS}/shout`);
    expect(variables(live)).toEqual(["OPENFAAS_NAME", "OPENFAAS_NAMESPACE"]);
    const { template } = live.spec;
    expect(template.metadata.labels).toEqual({ faas_function: "shout" });
    expect(template.metadata.annotations).toEqual({ "prometheus.io.scrape": "false" });
    expect(template.spec).not.toHaveProperty("volumes");
    expect(template.spec).not.toHaveProperty("nodeSelector");
    expect(template.spec.containers[0].resources).toEqual({});
    expect(live.metadata.annotations.topic).toBeUndefined();
    expect(updaters(live)).toEqual([]);
    const after = await seen("shout");
    for (const field of ["secrets", "limits", "requests", "constraints", "envVars"])
      expect(after).not.toHaveProperty(field);
    expect((await client.get(`${SERVICES}/shout`)).metadata.annotations.topic).toBeUndefined();
  });
});

test("a function that was restored from a backup is ours again, so that what a deploy leaves out goes", async () => {
  const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE, envVars: { old: "1" } };
  await backend.functions.create(definition);
  const [made, madeService] = [await client.get(`${DEPLOYMENTS}/fn`), await client.get(`${SERVICES}/fn`)];
  await backend.functions.remove(ref("fn"));
  await eventually("it is gone", async () => (await client.get(DEPLOYMENTS)).items.length === 0);
  const restored = ({ metadata, ...rest }: Answer) => {
    const { managedFields: _, ...meta } = metadata;
    return withoutSystemFields({ ...rest, metadata: meta });
  };
  await client.create(`${SERVICES}?fieldManager=velero-server`, restored(madeService));
  await client.create(`${DEPLOYMENTS}?fieldManager=velero-server`, restored(made));
  expect(await seen("fn")).toMatchObject({ envVars: { old: "1" } });
  await backend.functions.update({ ...definition, envVars: {}, annotations: { a: "b" } });
  const live = await client.get(`${DEPLOYMENTS}/fn`);
  expect(variables(live)).not.toContain("old");
  expect(updaters(live)).toEqual([]);
  await backend.functions.update({ ...definition, envVars: {} });
  expect((await client.get(`${SERVICES}/fn`)).metadata.annotations.a).toBeUndefined();
  expect(updaters(await client.get(`${SERVICES}/fn`))).toEqual([]);
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
  expect(await readPodUsage({ get }, ref("fn"))).toEqual({ cpu: 2252, totalMemoryBytes: 4 * 1024 ** 2 });
  expect(asked).toEqual([`/apis/metrics.k8s.io/v1beta1/namespaces/${NAMESPACE}/pods`]);
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { KubeServer } from "../support/kube/server.ts";
import { type Answer, CONFIG_MAPS, DEPLOYMENTS, deployment, KubeClient } from "./client.ts";

let kube: KubeServer;
let client: KubeClient;
let number = 0;
let name: string;
let path: string;

beforeAll(async () => {
  kube = await KubeServer.open({ without: ["deployments"] });
  client = new KubeClient(kube);
});

beforeEach(() => {
  number += 1;
  name = `d${number}`;
  path = `${DEPLOYMENTS}/${name}`;
});

afterAll(async () => {
  await kube.close();
});

const env = (...variables: [string, string][]) => ({
  env: variables.map(([variable, value]) => ({ name: variable, value })),
});
const container = (object: Answer) => object.spec.template.spec.containers[0];
const owners = (object: Answer) =>
  object.metadata.managedFields.map((e: Answer) => `${e.operation} ${e.manager} ${e.subresource ?? ""}`.trim());

test("creates what is not there, and changes nothing the second time", async () => {
  const created = await client.tryApply(path, deployment(name), "me");
  expect(created.status).toBe(201);
  expect(created.body.spec.replicas).toBe(1);
  const again = await client.tryApply(path, deployment(name), "me");
  expect(again.status).toBe(200);
  expect(again.body).toEqual(created.body);
});

test("defaults have no owner: anyone may set them later", async () => {
  await client.apply(path, deployment(name), "me");
  const other = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec: { replicas: 3 } };
  const applied = await client.apply(path, other, "scaler");
  expect(applied.spec.replicas).toBe(3);
  expect((await client.apply(path, deployment(name), "me")).spec.replicas).toBe(3);
});

test("a field that is no longer applied goes, and a default takes its place", async () => {
  await client.apply(path, deployment(name, { replicas: 4 }, env(["a", "1"], ["b", "2"])), "me");
  const less = await client.apply(path, deployment(name, {}, env(["b", "2"])), "me");
  expect(less.spec.replicas).toBe(1);
  expect(container(less).env).toEqual([{ name: "b", value: "2" }]);
  const none = await client.apply(path, deployment(name), "me");
  expect(container(none).env).toBeUndefined();
});

test("what others have added is left alone", async () => {
  await client.apply(path, deployment(name, {}, env(["a", "1"])), "me");
  await client.patch(path, { metadata: { annotations: { note: "theirs" }, labels: { team: "x" } } });
  const sidecar = { spec: { template: { spec: { containers: [{ name: "sidecar", image: "proxy:1" }] } } } };
  await client.patch(path, sidecar, "strategic-merge");
  await client.patch(
    path,
    { spec: { template: { spec: { containers: [{ name, ...env(["injected", "yes"]) }] } } } },
    "strategic-merge",
  );
  const applied = await client.apply(path, deployment(name, {}, env(["a", "2"])), "me");
  expect(applied.metadata.annotations).toEqual({ note: "theirs" });
  expect(applied.metadata.labels).toEqual({ faas_function: name, team: "x" });
  const { containers } = applied.spec.template.spec;
  expect(containers.map((c: Answer) => c.name).sort()).toEqual([name, "sidecar"].sort());
  const variables = containers.find((c: Answer) => c.name === name).env;
  expect(variables).toEqual(
    expect.arrayContaining([
      { name: "a", value: "2" },
      { name: "injected", value: "yes" },
    ]),
  );
});

test("changing what another manager has set is a conflict, which can be forced", async () => {
  await client.apply(path, deployment(name, { replicas: 2 }), "me");
  await client.patch(`${path}/scale?fieldManager=autoscaler`, { spec: { replicas: 5 } });
  const refused = await client.tryApply(path, deployment(name, { replicas: 2 }), "me");
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({
    reason: "Conflict",
    message:
      'Apply failed with 1 conflict: conflict with "autoscaler" with subresource "scale" using apps/v1: .spec.replicas',
    details: { causes: [{ reason: "FieldManagerConflict", field: ".spec.replicas" }] },
  });
  const forced = await client.apply(path, deployment(name, { replicas: 2 }), "me", true);
  expect(forced.spec.replicas).toBe(2);
  expect(owners(forced)).toEqual(["Apply me"]);
});

test("several conflicts are listed", async () => {
  await client.apply(path, deployment(name, { replicas: 2 }, { image: "fn:2" }), "me");
  const { status, body } = await client.tryApply(path, deployment(name, { replicas: 3 }, { image: "fn:3" }), "other");
  expect(status).toBe(409);
  expect(body.message).toBe(
    `Apply failed with 2 conflicts: conflicts with "me" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name="${name}"].image`,
  );
});

test("setting the same value is no conflict; then both own it, and it goes with the last", async () => {
  const labelled = (labels: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, labels },
  });
  const at = `${CONFIG_MAPS}/${name}`;
  await client.apply(at, labelled({ shared: "1", mine: "1" }), "me");
  await client.apply(at, labelled({ shared: "1" }), "other");
  const without = await client.apply(at, labelled({}), "me");
  expect(without.metadata.labels).toEqual({ shared: "1" });
  const none = await client.apply(at, labelled({}), "other");
  expect(none.metadata.labels).toBeUndefined();
});

test("an update by hand of what we own makes it theirs, until we force it", async () => {
  const mine = deployment(name, {}, { image: "fn:1" });
  await client.apply(path, mine, "me");
  const live = await client.get(path);
  container(live).image = "fn:edited";
  await client.update(`${path}?fieldManager=kubectl-edit`, live);
  const refused = await client.tryApply(path, mine, "me");
  expect(refused.body.message).toContain(
    'conflict with "kubectl-edit" using apps/v1: .spec.template.spec.containers[name=',
  );
  expect(container(await client.apply(path, mine, "me", true)).image).toBe("fn:1");
});

test("an item that others still need stays, with what tells it apart", async () => {
  const mounted = (mounts: object[], volumes: object[]) => {
    const body = deployment(name, {}, { volumeMounts: mounts }) as Answer;
    body.spec.template.spec.volumes = volumes;
    return body;
  };
  await client.apply(path, mounted([{ name: "v", mountPath: "/v" }], [{ name: "v", emptyDir: {} }]), "me");
  const theirs = {
    spec: {
      template: {
        spec: {
          containers: [{ name, volumeMounts: [{ mountPath: "/v", readOnly: true }] }],
          volumes: [{ name: "v", emptyDir: { medium: "Memory" } }],
        },
      },
    },
  };
  await client.patch(`${path}?fieldManager=other`, theirs, "strategic-merge");
  const { status } = await client.tryApply(path, deployment(name), "me");
  // Their mount keeps its path but has lost its name, which the server does not accept.
  expect(status).toBe(422);
});

test("ports are told apart by number and protocol", async () => {
  const ports = (...list: object[]) => deployment(name, {}, { ports: list });
  await client.apply(path, ports({ containerPort: 8080 }, { containerPort: 8080, protocol: "UDP" }), "me");
  const applied = await client.apply(path, ports({ containerPort: 8080, name: "http" }), "me");
  expect(container(applied).ports).toEqual([{ containerPort: 8080, name: "http", protocol: "TCP" }]);
});

test("ownership is told in the form of FieldsV1", async () => {
  const at = `${CONFIG_MAPS}/${name}`;
  const body = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, finalizers: ["a.b/c"], labels: { x: "y" } },
    data: { "k.e-y": "v" },
  };
  const { metadata } = await client.apply(at, body, "me");
  expect(metadata.managedFields).toEqual([
    {
      manager: "me",
      operation: "Apply",
      apiVersion: "v1",
      time: expect.any(String),
      fieldsType: "FieldsV1",
      fieldsV1: {
        "f:data": { "f:k.e-y": {} },
        "f:metadata": { "f:finalizers": { 'v:"a.b/c"': {} }, "f:labels": { "f:x": {} } },
      },
    },
  ]);
});

describe("refuses", () => {
  test("a request without a manager", async () => {
    const type = { "content-type": "application/apply-patch+yaml" };
    const { status, body } = await client.send("PATCH", path, deployment(name), type);
    expect([status, body.message]).toEqual([
      422,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ]);
  });

  test("unknown fields, as the server does: with 500", async () => {
    const { status, body } = await client.tryApply(path, deployment(name, { replica: 1 }), "me");
    expect([status, body.message]).toEqual([
      500,
      `failed to create typed patch object (openfaas-fn/${name}; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema`,
    ]);
  });

  test("lists with the same item twice, and values of other types, all at once", async () => {
    const twice = env(["a", "1"], ["a", "2"]);
    const { status, body } = await client.tryApply(path, deployment(name, { replicas: "1" }, twice), "me");
    const problems = [
      '.spec.template.spec.containers[name="NAME"].env: duplicate entries for key [name="a"]'.replace("NAME", name),
      ".spec.replicas: expected numeric (int or float), got string",
    ].map((problem) => expect.stringContaining(problem));
    expect(status).toBe(500);
    for (const problem of problems) expect(body.message).toEqual(problem);
    // Other writes take it, and then it can be applied to as well.
    await client.create(DEPLOYMENTS, deployment(name, {}, twice));
    expect((await client.tryApply(path, deployment(name), "me")).status).toBe(200);
  });

  test("another version", async () => {
    const { status, body } = await client.tryApply(path, { ...deployment(name), apiVersion: "v1" }, "me");
    const message = "Incorrect version specified in apply patch. Specified patch version: v1, expected: apps/v1";
    expect([status, body.message]).toEqual([400, message]);
  });

  test("managedFields, and another kind", async () => {
    const { body } = await client.tryApply(path, { ...deployment(name), metadata: { name, managedFields: [] } }, "me");
    expect(body.message).toBe("metadata.managedFields must be nil");
    expect((await client.tryApply(path, { ...deployment(name), kind: "ReplicaSet" }, "me")).status).toBe(400);
  });

  test("what would be invalid, and an old resourceVersion", async () => {
    expect((await client.tryApply(path, deployment(name, { replicas: -1 }), "me")).status).toBe(422);
    await client.apply(path, deployment(name), "me");
    const stale = { ...deployment(name), metadata: { name, resourceVersion: "1" } };
    expect((await client.tryApply(path, stale, "me")).status).toBe(409);
  });

  test("force on other patches", async () => {
    await client.apply(path, deployment(name), "me");
    const type = { "content-type": "application/merge-patch+json" };
    expect((await client.send("PATCH", `${path}?force=true`, {}, type)).status).toBe(422);
  });
});

test("YAML is understood", async () => {
  const text = `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  a: "1"\n`;
  const { status, body } = await client.tryApply(`${CONFIG_MAPS}/${name}`, text, "me");
  expect([status, body.data]).toEqual([201, { a: "1" }]);
});

test("status is applied apart, and left out of the main resource", async () => {
  const functions = "/apis/openfaas.com/v1/namespaces/openfaas-fn/functions";
  const body = { apiVersion: "openfaas.com/v1", kind: "Function", metadata: { name }, spec: { name, image: "i" } };
  await client.apply(`${functions}/${name}`, { ...body, status: { replicas: 9 } }, "me");
  expect((await client.get(`${functions}/${name}`)).status).toBeUndefined();
  const { spec: _spec, ...bare } = body;
  const withStatus = await client.apply(
    `${functions}/${name}/status`,
    { ...bare, status: { replicas: 1 } },
    "operator",
  );
  expect([withStatus.status, withStatus.spec, withStatus.metadata.generation]).toEqual([{ replicas: 1 }, body.spec, 1]);
  const changed = await client.apply(`${functions}/${name}`, { ...body, spec: { name, image: "j" } }, "me");
  expect([changed.status, changed.metadata.generation]).toEqual([{ replicas: 1 }, 2]);
});

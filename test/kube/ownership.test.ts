import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { KubeServer } from "../support/kube/server.ts";
import { type Answer, DEPLOYMENTS, deployment, KubeClient } from "./client.ts";

let kube: KubeServer;
let client: KubeClient;
let number = 0;
let name: string;
let path: string;

beforeAll(async () => {
  kube = await KubeServer.open({ without: ["deployments"] });
  client = new KubeClient(kube);
});

beforeEach(async () => {
  number += 1;
  name = `d${number}`;
  path = `${DEPLOYMENTS}/${name}`;
  const env = [
    { name: "a", value: "1" },
    { name: "b", value: "2" },
  ];
  await client.create(`${DEPLOYMENTS}?fieldManager=maker`, deployment(name, {}, { env }));
});

afterAll(async () => {
  await kube.close();
});

const owners = (object: Answer) =>
  (object.metadata.managedFields ?? []).map((e: Answer) => `${e.operation} ${e.manager} ${e.subresource ?? ""}`.trim());
const variables = (object: Answer) =>
  (object.spec.template.spec.containers[0].env ?? []).map((variable: Answer) => variable.name);
const ownedBy = (managedFields: unknown) => ({ metadata: { managedFields } });
const onlyB = () => deployment(name, {}, { env: [{ name: "b", value: "2" }] });

describe("a client says who owns what", () => {
  test("and by that hands fields over, so that applying less takes them away", async () => {
    const before = await client.get(path);
    const [entry] = before.metadata.managedFields;
    const after = await client.patch(path, ownedBy([{ ...entry, manager: "me", operation: "Apply" }]));
    expect(owners(after)).toEqual(["Apply me"]);
    expect(after.metadata.generation).toBe(before.metadata.generation);
    expect(after.metadata.resourceVersion).not.toBe(before.metadata.resourceVersion);
    const applied = await client.apply(path, onlyB(), "me");
    expect([variables(applied), owners(applied)]).toEqual([["b"], ["Apply me"]]);
  });

  test("and an object that was empty when it was handed over stays with what is applied within", async () => {
    const [entry] = (await client.get(path)).metadata.managedFields;
    await client.patch(path, ownedBy([{ ...entry, manager: "me", operation: "Apply" }]));
    const { spec, ...rest } = onlyB();
    const { containers } = spec.template.spec;
    const template = { ...spec.template, spec: { containers, securityContext: { runAsUser: 1 } } };
    const applied = await client.apply(path, { ...rest, spec: { ...spec, template } }, "me");
    expect(applied.spec.template.spec.securityContext).toEqual({ runAsUser: 1 });
  });

  test("with a list of one empty entry: nobody", async () => {
    expect(owners(await client.patch(path, ownedBy([{}])))).toEqual([]);
    // What was there before belongs to somebody else then.
    const applied = await client.apply(path, onlyB(), "me");
    expect(owners(applied)).toEqual(["Update before-first-apply", "Apply me"]);
    expect(variables(applied)).toEqual(["a", "b"]);
  });

  test("by JSON patch and by update too", async () => {
    const operations = [{ op: "replace", path: "/metadata/managedFields", value: [{}] }];
    expect(owners(await client.patch(path, operations, "json"))).toEqual([]);
    const live = await client.get(path);
    const entry = { manager: "m", operation: "Apply", apiVersion: "apps/v1", fieldsType: "FieldsV1" };
    const managedFields = [{ ...entry, fieldsV1: { "f:spec": { "f:replicas": {} } } }];
    const updated = await client.update(path, { ...live, metadata: { ...live.metadata, managedFields } });
    expect(owners(updated)).toEqual(["Apply m"]);
  });

  test("and what changes with it belongs to who changes it", async () => {
    const patch = { ...ownedBy([{}]), spec: { replicas: 3 } };
    const { metadata } = await client.patch(`${path}?fieldManager=scaler`, patch);
    expect(metadata.managedFields).toMatchObject([
      { manager: "scaler", operation: "Update", fieldsV1: { "f:spec": { "f:replicas": {} } } },
    ]);
  });

  test.each<[what: string, managedFields: unknown]>([
    ["an empty list", []],
    ["nothing", null],
    ["an entry without a kind of fields", [{ manager: "x", operation: "Apply", fieldsV1: {} }]],
    ["an operation that there is not", [{ manager: "x", operation: "Own", fieldsType: "FieldsV1", fieldsV1: {} }]],
  ])("in vain when it is %s", async (_what, managedFields) => {
    expect(owners(await client.patch(path, ownedBy(managedFields)))).toEqual(["Update maker"]);
  });

  test("in vain through a subresource", async () => {
    expect(owners(await client.patch(`${path}/status`, ownedBy([{}])))).toEqual(["Update maker"]);
  });
});

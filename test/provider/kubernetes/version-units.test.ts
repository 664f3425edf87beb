import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import type { LogMessage } from "../../../contract/logs.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import { isFunctionService } from "../../../provider/backends/kubernetes/function-writer.ts";
import {
  isUnitName,
  objectName,
  unitOfDeployment,
} from "../../../provider/backends/kubernetes/resources/version-unit.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { ProviderAccount } from "./account.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
const FUNCTIONS = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/functions`;
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
const SLICES = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`;

describe("the Deployment of a version", () => {
  test.each([
    ["fn@v1", /^fn-v1-[0-9a-f]{8}$/],
    ["fn@v999999999", /^fn-v999999999-[0-9a-f]{8}$/],
    [`${"a".repeat(63)}@v999999999`, /^a{42,44}-v999999999-[0-9a-f]{8}$/],
    [`${"a".repeat(40)}---b${"c".repeat(10)}@v999999999`, /^a{40}-v999999999-[0-9a-f]{8}$/],
  ])("of %s has a DNS label for its name", (unit, pattern) => {
    expect(objectName(unit)).toMatch(pattern);
    expect(objectName(unit).length).toBeLessThanOrEqual(63);
    expect(objectName(unit)).toBe(objectName(unit));
  });

  test("has a name of its own, whatever functions and versions are called", () => {
    const long = "a".repeat(62);
    const units = ["fn@v1", "fn@v11", "fn-v1@v1", "fn@v2", `${long}b@v1`, `${long}c@v1`, "fn", "fn-v1", "fn-v1-v1"];
    expect(new Set(units.map(objectName)).size).toBe(units.length);
  });

  test("is read back as that version only under the very name that it has", () => {
    const labels = { "com.faaslane.function": "fn", "com.faaslane.version": "v2" };
    expect(unitOfDeployment({ name: objectName("fn@v2"), labels })).toBe("fn@v2");
    expect(unitOfDeployment({ name: "other", labels })).toBe("other");
    const tag = { ...labels, "com.faaslane.version": "canary" };
    expect(unitOfDeployment({ name: objectName("fn@canary"), labels: tag })).not.toBe("fn@canary");
  });

  test.each([
    ["fn", true],
    ["fn@v1", true],
    ["fn@v0", false],
    ["fn@canary", false],
    ["fn@", false],
    ["fn@v1@v1", false],
    ["../x@v1", false],
  ])("belongs to %s: %s", (name, expected) => expect(isUnitName(name)).toBe(expected));
});

describe.each([
  ["without Function objects", undefined],
  ["with Function objects", { leaseDurationMs: 1_000 }],
])("a version beside its function, %s,", (_how, operator) => {
  const account = new ProviderAccount();
  const leave = new AbortController();
  let kube: KubeServer;
  let client: KubeClient;
  let backend: Backend;

  beforeEach(async () => {
    kube = await KubeServer.open({ account });
    client = new KubeClient(kube);
    backend = openBackend(kube, { ...(operator && { operator }) });
    await backend.functions.create(definition("fn", { labels: { team: "x", "com.openfaas.scale.min": "2" } }));
  });

  afterEach(async () => {
    await backend.close(0);
    await kube.close();
    account.expectNothingRefused();
  });

  const ref = (name: string) => ({ name, namespace: NAMESPACE });
  const definition = (service: string, more = {}) => ({ service, image: "fn:1", namespace: NAMESPACE, ...more });
  const ready = (name: string, replicas: number) =>
    eventually(
      `${name} has ${replicas}`,
      async () => ((await backend.functions.get(ref(name)))?.availableReplicas ?? 0) === replicas,
      20_000,
    );
  const rows = async (): Promise<Map<string, FunctionEndpoints>> => {
    const found = new Map<string, FunctionEndpoints>();
    for await (const event of backend.watch(leave.signal)) {
      if (event.type === "heartbeat") break;
      if ("endpoints" in event.function) found.set(event.function.name, event.function);
    }
    return found;
  };
  const namesOf = async (path: string, selector: string): Promise<string[]> =>
    (await client.get(`${path}?labelSelector=${encodeURIComponent(selector)}`)).items.map(
      ({ metadata }: Answer) => metadata.name,
    );
  const podsOf = async (unit: string): Promise<string[]> => namesOf(PODS, `faas_function=${objectName(unit)}`);

  test("runs, is scaled, told of and removed as a function of its own", async () => {
    const { functions } = backend;
    await functions.create(definition("fn@v2", { image: "fn:2", labels: { team: "x" } }));
    await ready("fn@v2", 1);
    expect(await functions.get(ref("fn@v2"))).toMatchObject({
      name: "fn@v2",
      image: "fn:2",
      labels: { faas_function: "fn", team: "x" },
    });
    const { items } = await client.get(`${PODS}?labelSelector=com.faaslane.version%3Dv2`);
    const [container] = items[0].spec.containers;
    expect(container.name).toBe("fn");
    expect(container.env).toContainEqual({ name: "OPENFAAS_NAME", value: "fn" });
    await functions.scale(ref("fn@v2"), 3);
    await ready("fn@v2", 3);
    const told = await rows();
    expect([...told.keys()].sort()).toEqual(["fn", "fn@v2"]);
    expect(told.get("fn@v2")?.endpoints.map(({ instance }) => instance)).toEqual((await podsOf("fn@v2")).sort());
    expect(told.get("fn")?.endpoints).toHaveLength(2);
    await functions.scale(ref("fn@v2"), 0);
    await ready("fn@v2", 0);
    expect((await functions.get(ref("fn")))?.availableReplicas).toBe(2);
    await functions.remove(ref("fn@v2"));
    expect(await functions.get(ref("fn@v2"))).toBeUndefined();
    await expect(functions.scale(ref("fn@v2"), 1)).rejects.toMatchObject({ kind: "notFound" });
    await expect(functions.remove(ref("fn@v2"))).rejects.toMatchObject({ kind: "notFound" });
    await expect(functions.update(definition("fn@v2"))).rejects.toMatchObject({ kind: "notFound" });
  });

  test("is not seen by who knows functions only, nor called by their Service", async () => {
    const before = (await client.get(`${DEPLOYMENTS}/fn`)).spec.template;
    await backend.functions.create(definition("fn@v2"));
    await ready("fn@v2", 1);
    expect(await namesOf(DEPLOYMENTS, "faas_function")).toEqual(["fn"]);
    expect((await client.get(SERVICES)).items.filter(isFunctionService)).toHaveLength(1);
    const slices = (await client.get(`${SLICES}?labelSelector=kubernetes.io/service-name%3Dfn`)).items as Answer[];
    const called = slices.flatMap(({ endpoints }) => endpoints.map(({ targetRef }: Answer) => targetRef.name));
    expect(called.sort()).toEqual((await podsOf("fn")).sort());
    expect((await client.get(`${DEPLOYMENTS}/fn`)).spec.template).toEqual(before);
    if (operator) expect((await client.get(FUNCTIONS)).items).toHaveLength(1);
  });

  test("goes with its function, whoever removes that", async () => {
    await backend.functions.create(definition("fn@v2"));
    await backend.versions?.put(ref("fn"), DOCUMENT, 0);
    await ready("fn@v2", 1);
    if (operator) await client.delete(`${FUNCTIONS}/fn`);
    else await client.delete(`${DEPLOYMENTS}/fn`);
    await eventually("all is gone", async () => {
      const left = [
        ...(await client.get(DEPLOYMENTS)).items,
        ...(await client.get(PODS)).items,
        ...(await client.get(`/api/v1/namespaces/${NAMESPACE}/configmaps`)).items,
      ];
      return left.length === 0;
    });
    expect(await backend.functions.list(NAMESPACE)).toEqual([]);
    await eventually("its versions too", async () => (await backend.versions?.get(ref("fn"))) === undefined);
  });

  test("starts no pod anew when it is written again, whatever labels its function has by then", async () => {
    const labels = { team: "x" };
    await backend.functions.create(definition("fn@v2", { labels }));
    const before = await client.get(`${DEPLOYMENTS}/${objectName("fn@v2")}`);
    await backend.functions.update(definition("fn@v2", { labels: { team: "y" }, annotations: { topic: "a" } }));
    const after = await client.get(`${DEPLOYMENTS}/${objectName("fn@v2")}`);
    expect(after.spec.template).toEqual(before.spec.template);
  });

  test("logs apart from its function", async () => {
    await backend.functions.create(definition("fn@v2"));
    await Promise.all([ready("fn", 2), ready("fn@v2", 1)]);
    const instancesOf = async (name: string): Promise<Set<string>> => {
      const lines: LogMessage[] = [];
      for await (const line of backend.logs({ ...ref(name), follow: false }, leave.signal)) lines.push(line);
      return new Set(lines.map(({ instance }) => instance));
    };
    const own = await podsOf("fn@v2");
    expect([...(await instancesOf("fn@v2"))]).toEqual(own);
    expect([...(await instancesOf("fn"))].sort()).toEqual((await podsOf("fn")).sort());
  });

  test("needs a function, a name, and one that nobody has", async () => {
    const { functions } = backend;
    await expect(functions.create(definition("none@v1"))).rejects.toMatchObject({ kind: "notFound" });
    await expect(functions.create(definition("fn@canary"))).rejects.toMatchObject({ kind: "invalid" });
    await functions.create(definition("fn@v2"));
    await expect(functions.create(definition("fn@v2"))).rejects.toMatchObject({ kind: "conflict" });
    // A function that is called as the version's Deployment is.
    await expect(functions.create(definition(objectName("fn@v2")))).rejects.toMatchObject({ kind: "conflict" });
    expect(await functions.get(ref(objectName("fn@v2")))).toBeUndefined();
    await functions.create(definition(objectName("fn@v3")));
    await expect(functions.create(definition("fn@v3"))).rejects.toMatchObject({ kind: "conflict" });
    const labels = { "com.faaslane.version": "v1" };
    await expect(functions.create(definition("b", { labels }))).rejects.toMatchObject({ kind: "invalid" });
  });

  test("is known to another provider, and to one that starts", async () => {
    await backend.functions.create(definition("fn@v2"));
    const other = openBackend(kube);
    try {
      await eventually("it is seen", async () => await other.functions.get(ref("fn@v2")));
      kube.watches.cut();
      kube.compact();
      await backend.functions.remove(ref("fn@v2"));
      await eventually("it is gone", async () => !(await other.functions.list(NAMESPACE)).some(isVersion));
      expect(await other.functions.get(ref("fn"))).toBeDefined();
    } finally {
      await other.close(0);
    }
  });
});

const isVersion = ({ name }: { readonly name: string }) => name.includes("@");

const DOCUMENT = {
  generation: 1,
  last: 1,
  versions: [],
  latest: "v1",
  main: "v1",
  stable: "v1",
  history: [],
};

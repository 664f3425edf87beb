import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Backend } from "../../../provider/backends/backend.ts";
import type { Condition } from "../../../provider/backends/kubernetes/resources/conditions.ts";
import { buildCrds } from "../../../provider/backends/kubernetes/resources/crds.ts";
import { type Answer, deployment, KubeClient, service } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { KubeServer } from "../../support/kube/server.ts";
import type { Fields } from "../../support/kube/types.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const FUNCTIONS = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/functions`;
const PROFILES = "/apis/openfaas.com/v1/namespaces/openfaas/profiles";
const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/openfaas/leases/faaslane-provider";

const operator = { leaseDurationMs: 1_000 };

let kube: KubeServer;
let client: KubeClient;
let backend: Backend;

async function open(crds: readonly unknown[] = buildCrds()): Promise<void> {
  kube = await KubeServer.open({ crds: crds as Fields[] });
  client = new KubeClient(kube);
  backend = openBackend(kube, { operator });
}

beforeEach(() => open());

afterEach(async () => {
  await backend.close(0);
  await kube.close();
});

const ref = (name: string) => ({ name, namespace: NAMESPACE });
const functionObject = (name: string, spec: Record<string, unknown> = {}) => ({
  apiVersion: "openfaas.com/v1",
  kind: "Function",
  metadata: { name, namespace: NAMESPACE },
  spec: { name, image: "fn:1", ...spec },
});
/** As `kubectl apply --server-side` does. */
const apply = (name: string, spec: Record<string, unknown> = {}) =>
  client.apply(`${FUNCTIONS}/${name}`, functionObject(name, spec), "kubectl", true);
const find = async (path: string): Promise<Answer | undefined> => {
  const { status, body } = await client.send("GET", path);
  return status === 200 ? body : undefined;
};
const condition = (object: Answer, type: string): Condition | undefined =>
  (object?.status?.conditions ?? []).find((one: Condition) => one.type === type);
const conditionIs = (name: string, type: string, status: string, generation?: number) =>
  eventually(
    `${name} is ${type}=${status}`,
    async () => {
      const object = await find(`${FUNCTIONS}/${name}`);
      const isFresh = object?.status?.observedGeneration === (generation ?? object?.metadata.generation);
      return isFresh && condition(object, type)?.status === status ? object : undefined;
    },
    20_000,
  );
const ready = (name: string, generation?: number) => conditionIs(name, "Ready", "True", generation);
const container = (object: Answer) => object.spec.template.spec.containers[0];
const imageOf = async (name: string) => container(await client.get(`${DEPLOYMENTS}/${name}`)).image as string;
/** Counts that stay as they are for a while. */
const writes = () => kube.faults.requests.filter(({ method }) => method !== "GET").length;

describe("a Function that is applied", () => {
  test("becomes a Deployment and a Service that are its own, and shows how it is in its columns", async () => {
    await apply("fn", { environment: { fprocess: "cat", A: "1" }, labels: { "com.openfaas.scale.min": "2" } });
    const object = await conditionIs("fn", "Healthy", "True");
    expect(condition(object, "Ready")?.status).toBe("True");
    expect(condition(object, "Reconciling")?.status).toBe("False");
    await eventually("both replicas are ready", async () => {
      const { status } = await client.get(`${FUNCTIONS}/fn`);
      return status.availableReplicas === 2 && status.unavailableReplicas === 0;
    });
    for (const path of [`${DEPLOYMENTS}/fn`, `${SERVICES}/fn`]) {
      const { ownerReferences } = (await client.get(path)).metadata;
      expect(ownerReferences).toMatchObject([
        { kind: "Function", name: "fn", uid: object.metadata.uid, controller: true },
      ]);
    }
    expect(await backend.functions.get(ref("fn"))).toMatchObject({ image: "fn:1", envProcess: "cat", replicas: 2 });

    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const table = (await client.send("GET", FUNCTIONS, undefined, { accept })).body;
    const names = table.columnDefinitions.map(({ name }: { name: string }) => name);
    expect(names).toEqual(["Name", "Image", "Ready", "Healthy", "Replicas", "Available", "Unavailable"]);
    expect(table.rows[0].cells).toEqual(["fn", "fn:1", "True", "True", 2, 2, 0]);
  });

  test("follows its changes without touching the number of replicas", async () => {
    await apply("fn");
    await ready("fn");
    await backend.functions.scale(ref("fn"), 3);
    await apply("fn", { image: "fn:2" });
    await ready("fn", 2);
    expect(await client.get(`${DEPLOYMENTS}/fn`)).toMatchObject({ spec: { replicas: 3 } });
    expect(await imageOf("fn")).toBe("fn:2");
    await eventually(
      "its replicas are counted",
      async () => (await client.get(`${FUNCTIONS}/fn`)).status.replicas === 3,
    );
    await backend.functions.scale(ref("fn"), 0);
    const asleep = await conditionIs("fn", "Healthy", "False");
    expect(condition(asleep, "Healthy")?.reason).toBe("ScaledToZero");
  });

  test("takes its function along when it is deleted", async () => {
    await apply("fn");
    await ready("fn");
    await client.delete(`${FUNCTIONS}/fn`);
    await eventually("it is gone", async () => (await backend.functions.get(ref("fn"))) === undefined);
    await eventually("its objects are gone", async () => {
      const left = await Promise.all([find(`${DEPLOYMENTS}/fn`), find(`${SERVICES}/fn`)]);
      return left.every((object) => object === undefined);
    });
  });

  test("is refused in words until what it lacks is there", async () => {
    await apply("fn", { secrets: ["api-key"], limits: { memory: "lots" } });
    const stalled = await conditionIs("fn", "Stalled", "True");
    expect(condition(stalled, "Stalled")?.message).toContain('secrets "api-key" not found');
    expect(condition(stalled, "Stalled")?.message).toContain("limits.memory");
    expect(condition(stalled, "Ready")?.status).toBe("False");
    expect(await find(`${DEPLOYMENTS}/fn`)).toBeUndefined();
    // The API tells the same.
    expect(await backend.functions.get(ref("fn"))).toMatchObject({ problem: expect.stringContaining("api-key") });

    await apply("fn", { secrets: ["api-key"] });
    await conditionIs("fn", "Stalled", "True", 2);
    await backend.secrets.create(ref("api-key"), Buffer.from("x"));
    await ready("fn", 2);
  });

  test("is refused when its name is not its object's, or the API server does not take it", async () => {
    await client.apply(`${FUNCTIONS}/a`, { ...functionObject("a"), spec: { name: "b", image: "fn:1" } }, "kubectl");
    const stalled = await conditionIs("a", "Stalled", "True");
    expect(condition(stalled, "Stalled")?.message).toContain('"b" must be the name of the object');

    const quota = { apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "few" } };
    const quotas = `/api/v1/namespaces/${NAMESPACE}/resourcequotas`;
    await client.create(quotas, { ...quota, spec: { hard: { "count/deployments.apps": "0" } } });
    await apply("c");
    expect(condition(await conditionIs("c", "Stalled", "True"), "Stalled")?.message).toContain("exceeded quota");
    await client.delete(`${quotas}/few`);
    await ready("c");
  });
});

describe("a deploy over the API and a Function are two views of one thing", () => {
  test("a deploy makes the Function, an update changes it, a removal removes it", async () => {
    await eventually("somebody acts", async () => (await find(LEASE))?.spec.holderIdentity);
    const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE, envProcess: "cat", envVars: { A: "1" } };
    await backend.functions.create({ ...definition, labels: { team: "a" } });
    const made = await client.get(`${FUNCTIONS}/fn`);
    expect(made.spec).toEqual({
      name: "fn",
      image: "fn:1",
      environment: { A: "1", fprocess: "cat" },
      labels: { team: "a" },
    });
    const { ownerReferences } = (await client.get(`${DEPLOYMENTS}/fn`)).metadata;
    expect(ownerReferences[0].uid).toBe(made.metadata.uid);
    await ready("fn");
    await expect(backend.functions.create(definition)).rejects.toMatchObject({ kind: "conflict" });

    await backend.functions.update({ ...definition, image: "fn:2", envVars: { B: "2" } });
    const { spec } = await client.get(`${FUNCTIONS}/fn`);
    expect(spec).toEqual({ name: "fn", image: "fn:2", environment: { B: "2", fprocess: "cat" } });
    expect(await imageOf("fn")).toBe("fn:2");
    await ready("fn", 2);

    await backend.functions.remove(ref("fn"));
    expect(await find(`${FUNCTIONS}/fn`)).toBeUndefined();
    expect(await find(`${DEPLOYMENTS}/fn`)).toBeUndefined();
    expect(await backend.functions.get(ref("fn"))).toBeUndefined();
    await backend.functions.create(definition);
    await ready("fn");
  });

  test("an update replaces all that kubectl has applied, and kubectl may apply again", async () => {
    await apply("fn", { handler: "./fn", environment: { A: "1" }, annotations: { topic: "a" } });
    await ready("fn");
    await backend.functions.update({ service: "fn", image: "fn:2", namespace: NAMESPACE, envVars: { B: "2" } });
    const { spec } = await client.get(`${FUNCTIONS}/fn`);
    expect(spec).toEqual({ name: "fn", image: "fn:2", handler: "./fn", environment: { B: "2" } });
    await apply("fn", { image: "fn:3" });
    await eventually("kubectl's is there", async () => (await imageOf("fn")) === "fn:3");
  });

  test("an update that changes nothing writes nothing", async () => {
    const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE, envVars: { A: "1" } };
    await backend.functions.create(definition);
    await conditionIs("fn", "Healthy", "True");
    const before = kube.faults.requests.length;
    await backend.functions.update(definition);
    const own = kube.faults.requests.slice(before).filter(({ resource }) => !resource.startsWith("leases"));
    expect(own.filter(({ method }) => method !== "GET")).toEqual([]);
  });

  test("what is refused leaves the Function as it was", async () => {
    const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE };
    const refuse = () =>
      kube.faults.answer({
        status: 403,
        matches: ({ verb, resource }) => verb === "apply" && resource === "deployments.apps",
      });
    let stop = refuse();
    await expect(backend.functions.create(definition)).rejects.toMatchObject({ kind: "forbidden" });
    expect(await find(`${FUNCTIONS}/fn`)).toBeUndefined();
    stop();
    await backend.functions.create(definition);
    stop = refuse();
    await expect(backend.functions.update({ ...definition, image: "fn:2" })).rejects.toMatchObject({
      kind: "forbidden",
    });
    stop();
    expect((await client.get(`${FUNCTIONS}/fn`)).spec.image).toBe("fn:1");
    await ready("fn");
    expect(await imageOf("fn")).toBe("fn:1");
  });

  test("a Function that could not become anything yet can be updated and removed", async () => {
    await apply("fn", { secrets: ["nothing"] });
    await conditionIs("fn", "Stalled", "True");
    const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE };
    await expect(backend.functions.create(definition)).rejects.toMatchObject({ kind: "conflict" });
    await backend.functions.update(definition);
    await ready("fn");
    await apply("other", { secrets: ["nothing"] });
    await backend.functions.remove(ref("other"));
    expect(await find(`${FUNCTIONS}/other`)).toBeUndefined();
  });
});

describe("what others do to the objects of a function", () => {
  beforeEach(async () => {
    await backend.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE, envVars: { A: "1" } });
    await conditionIs("fn", "Healthy", "True");
  });

  test("is put right when it is about what we set", async () => {
    const template = { spec: { containers: [{ name: "fn", image: "evil:1" }] } };
    await client.patch(`${DEPLOYMENTS}/fn`, { spec: { template } }, "strategic-merge");
    await eventually("the image is back", async () => (await imageOf("fn")) === "fn:1");
    await client.patch(`${SERVICES}/fn`, { spec: { selector: { faas_function: "other" } } });
    await eventually(
      "the selector is back",
      async () => (await client.get(`${SERVICES}/fn`)).spec.selector.faas_function === "fn",
    );
    await client.delete(`${SERVICES}/fn`);
    await eventually("the Service is back", () => find(`${SERVICES}/fn`));
    const { uid } = (await client.get(`${DEPLOYMENTS}/fn`)).metadata;
    await client.delete(`${DEPLOYMENTS}/fn`);
    await eventually("the Deployment is back", async () => {
      const again = await find(`${DEPLOYMENTS}/fn`);
      return again !== undefined && again.metadata.uid !== uid;
    });
    await conditionIs("fn", "Healthy", "True");
  });

  test("is left alone when we do not set it", async () => {
    const annotations = { "kubectl.kubernetes.io/restartedAt": "2026-11-21T00:00:00Z" };
    const container = { name: "fn", env: [{ name: "THEIRS", value: "1" }] };
    const theirs = {
      metadata: { labels: { theirs: "1" } },
      spec: { template: { metadata: { annotations }, spec: { containers: [container] } } },
    };
    await client.patch(`${DEPLOYMENTS}/fn`, theirs, "strategic-merge");
    // A correction that comes after it shows that the operator has looked.
    await client.patch(
      `${DEPLOYMENTS}/fn`,
      { spec: { template: { spec: { containers: [{ name: "fn", image: "evil:1" }] } } } },
      "strategic-merge",
    );
    await eventually("the image is back", async () => (await imageOf("fn")) === "fn:1");
    const now = await client.get(`${DEPLOYMENTS}/fn`);
    expect(now.metadata.labels.theirs).toBe("1");
    expect(now.spec.template.metadata.annotations).toMatchObject(annotations);
    const { env } = now.spec.template.spec.containers[0];
    expect(env).toContainEqual({ name: "THEIRS", value: "1" });
    expect(env).toContainEqual({ name: "A", value: "1" });
  });

  test("does not become a fight", async () => {
    const path = `${DEPLOYMENTS}/fn`;
    const image = (value: string) =>
      client.patch(
        path,
        { spec: { template: { spec: { containers: [{ name: "fn", image: value }] } } } },
        "strategic-merge",
      );
    const before = kube.faults.count("apply", "deployments.apps");
    const end = Date.now() + 2_500;
    for (let round = 0; Date.now() < end; round += 1) {
      await image(`evil:${round}`);
      await eventually(
        "it was put right, or time is up",
        async () => Date.now() > end || (await imageOf("fn")) === "fn:1",
      );
    }
    expect(kube.faults.count("apply", "deployments.apps") - before).toBeLessThan(20);
    await eventually("ours stays in the end", async () => (await imageOf("fn")) === "fn:1", 15_000);
  });

  test("does not wake a function that sleeps", async () => {
    await backend.functions.update({
      service: "fn",
      image: "fn:1",
      namespace: NAMESPACE,
      labels: { "com.openfaas.scale.min": "1" },
    });
    await backend.functions.scale(ref("fn"), 0);
    const template = { spec: { containers: [{ name: "fn", image: "evil:1" }] } };
    await client.patch(`${DEPLOYMENTS}/fn`, { spec: { template } }, "strategic-merge");
    await eventually("the image is back", async () => (await imageOf("fn")) === "fn:1");
    expect((await client.get(`${DEPLOYMENTS}/fn`)).spec.replicas).toBe(0);
  });
});

test("functions that name a Profile follow it, and say which one they have", async () => {
  const tolerations = [{ key: "spot", operator: "Exists" }];
  const profile = { apiVersion: "openfaas.com/v1", kind: "Profile", metadata: { name: "spot" }, spec: { tolerations } };
  await apply("fn", { annotations: { "com.openfaas.profile": "spot" } });
  const stalled = await conditionIs("fn", "Stalled", "True");
  expect(condition(stalled, "Stalled")?.message).toContain('profiles "spot" not found');

  await client.create(PROFILES, profile);
  const object = await ready("fn");
  expect(object.status.profiles).toEqual([
    { profileRef: { name: "spot", namespace: "openfaas" }, observedGeneration: 1 },
  ]);
  expect((await client.get(`${DEPLOYMENTS}/fn`)).spec.template.spec.tolerations).toEqual(tolerations);

  await client.patch(`${PROFILES}/spot`, { spec: { tolerations: [], priorityClassName: "low" } });
  await eventually("the Deployment follows", async () => {
    const { tolerations: left, priorityClassName } = (await client.get(`${DEPLOYMENTS}/fn`)).spec.template.spec;
    return left === undefined && priorityClassName === "low";
  });
  await eventually("the status follows", async () => {
    const { status } = await client.get(`${FUNCTIONS}/fn`);
    return status.profiles[0].observedGeneration === 2 && condition({ status }, "Ready")?.status === "True";
  });
});

test("Deployments of faas-netes without a Function stay as they are until their next deploy, which makes one", async () => {
  await client.create(`${DEPLOYMENTS}?fieldManager=faas-netes`, deployment("old"));
  await client.create(`${SERVICES}?fieldManager=faas-netes`, service("old"));
  const { generation } = (await client.get(`${DEPLOYMENTS}/old`)).metadata;
  await apply("fn");
  await ready("fn");
  expect((await client.get(`${DEPLOYMENTS}/old`)).metadata).toMatchObject({ generation });
  expect(await find(`${FUNCTIONS}/old`)).toBeUndefined();
  await backend.functions.update({ service: "old", image: "fn:2", namespace: NAMESPACE });
  expect((await ready("old")).spec).toEqual({ name: "old", image: "fn:2" });
  expect((await client.get(`${DEPLOYMENTS}/old`)).metadata.ownerReferences).toHaveLength(1);
});

test("a provider with other settings starts no new pods by itself", async () => {
  await apply("fn");
  await conditionIs("fn", "Healthy", "True");
  await backend.close(0);
  // As an earlier version would have made it.
  const path = `${DEPLOYMENTS}/fn`;
  const made = await client.get(path);
  const { annotations, name, labels, ownerReferences } = made.metadata;
  const earlier = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name,
      labels,
      ownerReferences,
      annotations: { ...annotations, "com.faaslane.hash": "0123456789abcdef" },
    },
    spec: {
      ...made.spec,
      template: { ...made.spec.template, spec: { ...made.spec.template.spec, terminationGracePeriodSeconds: 7 } },
    },
  };
  delete earlier.metadata.annotations["deployment.kubernetes.io/revision"];
  await client.apply(path, earlier, "faaslane", true);
  const { generation } = (await client.get(path)).metadata;
  backend = openBackend(kube, { operator });
  await apply("other");
  await ready("other");
  expect((await client.get(path)).metadata.generation).toBe(generation);
  // An edit by hand is one to be put right all the same.
  await client.patch(
    path,
    { spec: { template: { spec: { containers: [{ name: "fn", image: "evil:1" }] } } } },
    "strategic-merge",
  );
  await eventually("the image is back", async () => (await imageOf("fn")) === "fn:1");
});

test("a secret that changes starts no new pods by itself", async () => {
  await backend.secrets.create(ref("key"), Buffer.from("1"));
  await apply("fn", { secrets: ["key"] });
  await ready("fn");
  await backend.secrets.update(ref("key"), Buffer.from("2"));
  const { generation } = (await client.get(`${DEPLOYMENTS}/fn`)).metadata;
  await backend.close(0);
  backend = openBackend(kube, { operator });
  await apply("other");
  await ready("other");
  await client.delete(`${SERVICES}/fn`);
  await eventually("the Service is back", () => find(`${SERVICES}/fn`));
  expect((await client.get(`${DEPLOYMENTS}/fn`)).metadata.generation).toBe(generation);
});

test("nothing is written while nothing changes", async () => {
  await apply("fn");
  await conditionIs("fn", "Healthy", "True");
  await apply("marker");
  await conditionIs("marker", "Healthy", "True");
  const ofFn = () => kube.faults.requests.filter(({ name, method }) => name === "fn" && method !== "GET").length;
  const before = ofFn();
  kube.watches.cut();
  await apply("marker", { image: "fn:2" });
  await ready("marker", 2);
  expect(ofFn()).toBe(before);
  expect(writes()).toBeGreaterThan(0);
});

describe("a cluster without the kinds", () => {
  beforeEach(async () => {
    await backend.close(0);
    await kube.close();
    await open([]);
  });

  test("runs functions all the same, and asks for them seldom", async () => {
    const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE };
    await backend.functions.create(definition);
    await backend.functions.update({ ...definition, image: "fn:2" });
    await eventually("it is ready", async () => (await backend.functions.get(ref("fn")))?.availableReplicas === 1);
    expect((await client.get(`${DEPLOYMENTS}/fn`)).metadata.ownerReferences).toBeUndefined();
    await backend.functions.remove(ref("fn"));
    expect(await backend.functions.get(ref("fn"))).toBeUndefined();
    const asked = kube.faults.requests.filter(({ path }) => path.startsWith("/apis/openfaas.com"));
    expect(asked.length).toBeLessThan(8);
  });
});

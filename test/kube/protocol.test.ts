import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { KubeServer } from "../support/kube/server.ts";
import {
  type Answer,
  CONFIG_MAPS,
  CORE,
  configMap,
  DEPLOYMENTS,
  deployment,
  KubeClient,
  PODS,
  SECRETS,
  SERVICES,
  service,
} from "./client.ts";

let kube: KubeServer;
let client: KubeClient;

beforeAll(async () => {
  kube = await KubeServer.open({ without: ["deployments"] });
  client = new KubeClient(kube);
});

afterAll(async () => {
  await kube.close();
});

describe("discovery", () => {
  test("says what there is", async () => {
    expect((await client.get("/version")).minor).toBe("34");
    expect((await client.get("/api")).versions).toEqual(["v1"]);
    const groups = (await client.get("/apis")).groups.map((g: Answer) => g.name);
    expect(groups).toEqual(expect.arrayContaining(["apps", "discovery.k8s.io", "coordination.k8s.io", "openfaas.com"]));
    const { resources } = await client.get("/apis/apps/v1");
    expect(resources.map((r: Answer) => r.name)).toEqual(
      expect.arrayContaining(["deployments", "deployments/scale", "deployments/status"]),
    );
    expect(await client.get("/healthz")).toBe("ok");
  });

  test.each(["/apis/none/v1", "/apis/apps/v1/namespaces/x/nothing", "/nothing", `${DEPLOYMENTS}/x/nothing`])(
    "%s is not found",
    async (path) => {
      const { status, body } = await client.send("GET", path);
      expect([status, body.reason]).toEqual([404, "NotFound"]);
    },
  );
});

describe("content types", () => {
  test.each<[method: string, headers: Record<string, string>, status: number]>([
    ["PATCH", { "content-type": "application/json" }, 415],
    ["POST", { "content-type": "application/vnd.kubernetes.protobuf" }, 415],
    ["GET", { accept: "application/vnd.kubernetes.protobuf" }, 406],
  ])("%s with %j is refused", async (method, headers, status) => {
    const body = method === "GET" ? undefined : "{}";
    await client.send("POST", CONFIG_MAPS, configMap("there"));
    expect(
      (await client.send(method, method === "POST" ? CONFIG_MAPS : `${CONFIG_MAPS}/there`, body, headers)).status,
    ).toBe(status);
  });

  test("only metadata is given when only that is asked for", async () => {
    await client.create(SECRETS, {
      metadata: { name: "partial", labels: { only: "metadata" } },
      stringData: { a: "b" },
    });
    const accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    const { body } = await client.send("GET", `${SECRETS}?labelSelector=only`, undefined, { accept });
    expect(body.kind).toBe("PartialObjectMetadataList");
    expect(Object.keys(body.items[0]).sort()).toEqual(["apiVersion", "kind", "metadata"]);
  });
});

describe("reading", () => {
  beforeAll(async () => {
    for (const name of ["l1", "l2", "l3", "l4", "l5"]) {
      await client.create(
        CONFIG_MAPS,
        configMap(name, { v: "1" }, { set: "lists", n: name, ...(name === "l1" && { odd: "" }) }),
      );
    }
  });

  test.each<[selector: string, names: string[]]>([
    ["set=lists,n!=l1", ["l2", "l3", "l4", "l5"]],
    ["set==lists,n in (l1, l3)", ["l1", "l3"]],
    ["set=lists,n notin (l1,l3)", ["l2", "l4", "l5"]],
    ["odd", ["l1"]],
    ["set=lists,!odd", ["l2", "l3", "l4", "l5"]],
    ["set=none", []],
  ])("selects by %s", async (selector, names) => {
    const { items } = await client.get(`${CONFIG_MAPS}?labelSelector=${encodeURIComponent(selector)}`);
    expect(items.map((i: Answer) => i.metadata.name)).toEqual(names);
  });

  test.each(["a b", "a=b=c", "(", "a in b"])("refuses the selector %s", async (selector) => {
    expect((await client.send("GET", `${CONFIG_MAPS}?labelSelector=${encodeURIComponent(selector)}`)).status).toBe(400);
  });

  test("selects by fields that the kind has", async () => {
    const one = await client.get(`${CONFIG_MAPS}?fieldSelector=metadata.name%3Dl2`);
    expect(one.items).toHaveLength(1);
    expect((await client.send("GET", `${CONFIG_MAPS}?fieldSelector=data.v%3D1`)).status).toBe(400);
    expect((await client.get(`${PODS}?fieldSelector=spec.nodeName%3Dnode-9`)).items).toEqual([]);
  });

  test("items of a list do not say what they are, but custom ones do", async () => {
    const { kind, items } = await client.get(CONFIG_MAPS);
    expect(kind).toBe("ConfigMapList");
    expect(items[0].kind).toBeUndefined();
    const path = "/apis/openfaas.com/v1/namespaces/openfaas-fn/functions";
    await client.create(path, {
      apiVersion: "openfaas.com/v1",
      kind: "Function",
      metadata: { name: "f" },
      spec: { name: "f", image: "i" },
    });
    expect((await client.get(path)).items[0].kind).toBe("Function");
  });

  test("pages show one moment, whatever happens meanwhile", async () => {
    const path = `${CONFIG_MAPS}?labelSelector=set%3Dlists&limit=2`;
    const first = await client.get(path);
    expect(first.metadata.remainingItemCount).toBeUndefined(); // not known with a selector
    await client.create(CONFIG_MAPS, configMap("l3a", {}, { set: "lists" }));
    await client.delete(`${CONFIG_MAPS}/l4`);
    await client.patch(`${CONFIG_MAPS}/l5`, { data: { v: "2" } });
    const second = await client.get(`${path}&continue=${first.metadata.continue}`);
    const third = await client.get(`${path}&continue=${second.metadata.continue}`);
    const items = [...first.items, ...second.items, ...third.items];
    expect(items.map((i) => i.metadata.name)).toEqual(["l1", "l2", "l3", "l4", "l5"]);
    expect(items.at(-1).data).toEqual({ v: "1" });
    expect(new Set([first, second, third].map((page) => page.metadata.resourceVersion)).size).toBe(1);
    expect(third.metadata.continue).toBeUndefined();
  });

  test("a page of what is forgotten is 410, and offers to go on inconsistently", async () => {
    const path = `${CONFIG_MAPS}?limit=2`;
    const first = await client.get(path);
    expect(first.metadata.remainingItemCount).toBeGreaterThan(0);
    kube.compact();
    const { status, body } = await client.send("GET", `${path}&continue=${first.metadata.continue}`);
    expect([status, body.reason]).toEqual([410, "Expired"]);
    const next = await client.get(`${path}&continue=${body.metadata.continue}`);
    expect(next.items).toHaveLength(2);
    expect((await client.send("GET", `${path}&continue=nonsense`)).status).toBe(400);
  });

  test("a revision of the past is shown exactly, one of the future is refused", async () => {
    const { metadata } = await client.create(CONFIG_MAPS, configMap("then", { v: "1" }));
    await client.patch(`${CONFIG_MAPS}/then`, { data: { v: "2" } });
    const query = `fieldSelector=metadata.name%3Dthen&resourceVersion=${metadata.resourceVersion}`;
    const exact = await client.get(`${CONFIG_MAPS}?${query}&resourceVersionMatch=Exact`);
    expect(exact.items[0].data.v).toBe("1");
    const newer = await client.get(`${CONFIG_MAPS}?${query}&resourceVersionMatch=NotOlderThan`);
    expect(newer.items[0].data.v).toBe("2");
    const { status, body } = await client.send("GET", `${CONFIG_MAPS}?resourceVersion=99999999`);
    expect([status, body.details.causes[0].reason]).toEqual([504, "ResourceVersionTooLarge"]);
  });
});

describe("writing", () => {
  test("every write has a later revision; one that changes nothing has none", async () => {
    const created = await client.create(CONFIG_MAPS, configMap("revisions", { a: "1" }));
    const changed = await client.patch(`${CONFIG_MAPS}/revisions`, { data: { a: "2" } });
    const same = await client.patch(`${CONFIG_MAPS}/revisions`, { data: { a: "2" } });
    const again = await client.update(`${CONFIG_MAPS}/revisions`, same);
    expect(Number(changed.metadata.resourceVersion)).toBeGreaterThan(Number(created.metadata.resourceVersion));
    expect(same.metadata.resourceVersion).toBe(changed.metadata.resourceVersion);
    expect(again.metadata.resourceVersion).toBe(changed.metadata.resourceVersion);
  });

  test("only what is wanted is a new generation", async () => {
    await client.create(DEPLOYMENTS, deployment("generations"));
    const labelled = await client.patch(`${DEPLOYMENTS}/generations`, { metadata: { labels: { x: "y" } } });
    expect(labelled.metadata.generation).toBe(1);
    const scaled = await client.patch(`${DEPLOYMENTS}/generations`, { spec: { replicas: 3 } });
    expect(scaled.metadata.generation).toBe(2);
    const status = await client.patch(`${DEPLOYMENTS}/generations/status`, {
      status: { replicas: 1 },
      spec: { replicas: 9 },
    });
    expect([status.metadata.generation, status.spec.replicas, status.status.replicas]).toEqual([2, 3, 1]);
    const ignored = await client.patch(`${DEPLOYMENTS}/generations`, { status: { replicas: 7 } });
    expect(ignored.status.replicas).toBe(1);
  });

  test("the server's own fields cannot be set", async () => {
    const meta = {
      uid: "mine",
      creationTimestamp: "2000-01-01T00:00:00Z",
      generation: 7,
      deletionTimestamp: "2000-01-01T00:00:00Z",
    };
    const created = await client.create(CONFIG_MAPS, { ...configMap("system"), metadata: { name: "system", ...meta } });
    expect(created.metadata.uid).not.toBe("mine");
    expect(created.metadata.creationTimestamp).not.toBe(meta.creationTimestamp);
    expect(created.metadata.deletionTimestamp).toBeUndefined();
    const wrongUid = { ...created, metadata: { ...created.metadata, uid: "other" } };
    expect((await client.send("PUT", `${CONFIG_MAPS}/system`, wrongUid)).status).toBe(409);
  });

  test.each<[what: string, method: string, path: string, body: unknown, status: number, message: RegExp]>([
    [
      "another namespace than the URL's",
      "POST",
      CONFIG_MAPS,
      { metadata: { name: "x", namespace: "default" } },
      400,
      /namespace of the provided object/,
    ],
    [
      "another name than the URL's",
      "PUT",
      `${CONFIG_MAPS}/l1`,
      { metadata: { name: "x" } },
      400,
      /name of the object \(x\)/,
    ],
    [
      "another kind",
      "POST",
      CONFIG_MAPS,
      { kind: "Secret", apiVersion: "v1", metadata: { name: "x" } },
      400,
      /cannot be handled/,
    ],
    [
      "another version",
      "POST",
      DEPLOYMENTS,
      { kind: "Deployment", apiVersion: "apps/v2", metadata: { name: "x" } },
      400,
      /does not match/,
    ],
    ["no name", "POST", CONFIG_MAPS, { metadata: {} }, 422, /name or generateName is required/],
    [
      "a resourceVersion on creation",
      "POST",
      CONFIG_MAPS,
      { metadata: { name: "x", resourceVersion: "1" } },
      500,
      /should not be set/,
    ],
    ["no JSON", "POST", CONFIG_MAPS, "{", 400, /decoding/],
    ["a list", "POST", CONFIG_MAPS, [], 400, /object/],
    [
      "a custom object without its kind",
      "POST",
      "/apis/openfaas.com/v1/namespaces/openfaas-fn/functions",
      { metadata: { name: "x" } },
      400,
      /Kind/,
    ],
    [
      "a lease without its revision",
      "PUT",
      "/apis/coordination.k8s.io/v1/namespaces/openfaas/leases/none-yet",
      { metadata: { name: "other" } },
      400,
      /name of the object/,
    ],
  ])("refuses %s", async (_what, method, path, body, status, message) => {
    const reply = await client.send(method, path, body);
    expect([reply.status, reply.body.message]).toEqual([status, expect.stringMatching(message)]);
  });

  test("a lease is created by PUT, and updated with its revision only", async () => {
    const path = "/apis/coordination.k8s.io/v1/namespaces/openfaas/leases/leader";
    const renewTime = "2026-11-21T00:00:00.123456Z";
    const lease = { metadata: { name: "leader" }, spec: { holderIdentity: "a", leaseDurationSeconds: 15, renewTime } };
    const created = await client.send("PUT", path, lease);
    expect([created.status, created.body.spec.renewTime]).toEqual([201, renewTime]);
    const blind = await client.send("PUT", path, lease);
    expect([blind.status, blind.body.message]).toEqual([
      422,
      expect.stringContaining("must be specified for an update"),
    ]);
    const mine = { ...created.body, spec: { ...created.body.spec, holderIdentity: "b" } };
    expect((await client.send("PUT", path, mine)).status).toBe(200);
    expect((await client.send("PUT", path, mine)).status).toBe(409);
  });

  test("generated names are new", async () => {
    const body = { metadata: { generateName: "gen-" } };
    const names = [await client.create(CONFIG_MAPS, body), await client.create(CONFIG_MAPS, body)].map(
      (o) => o.metadata.name,
    );
    expect(names[0]).toMatch(/^gen-[a-z0-9]{5}$/);
    expect(names[0]).not.toBe(names[1]);
  });

  test("a dry run says what would be, and does nothing", async () => {
    const dry = await client.create(`${CONFIG_MAPS}?dryRun=All`, configMap("dry"));
    expect(dry.metadata.uid).toBeDefined();
    expect((await client.send("GET", `${CONFIG_MAPS}/dry`)).status).toBe(404);
    expect((await client.send("POST", `${CONFIG_MAPS}?dryRun=All`, configMap("l1"))).status).toBe(409);
  });

  test("unknown fields are left out, and warned of unless that is not wanted", async () => {
    const body = { ...deployment("unknown"), colour: "blue" };
    const warned = await client.send("POST", `${DEPLOYMENTS}?dryRun=All`, body);
    expect(warned.headers.get("warning")).toBe('299 - "unknown field \\"colour\\""');
    expect(warned.body.colour).toBeUndefined();
    const quiet = await client.send("POST", `${DEPLOYMENTS}?dryRun=All&fieldValidation=Ignore`, body);
    expect([quiet.status, quiet.headers.get("warning")]).toEqual([201, null]);
    const strict = await client.send(
      "POST",
      `${DEPLOYMENTS}?fieldValidation=Strict`,
      deployment("unknown", {}, { imagee: "x" }),
    );
    expect(strict.body.message).toContain('unknown field "spec.template.spec.containers[0].imagee"');
  });

  test("what is chosen for a service stays", async () => {
    const created = await client.create(SERVICES, service("kept"));
    const updated = await client.update(`${SERVICES}/kept`, {
      ...service("kept"),
      metadata: { name: "kept", annotations: { a: "b" } },
    });
    expect(updated.spec.clusterIP).toBe(created.spec.clusterIP);
    const moved = await client.send("PUT", `${SERVICES}/kept`, {
      ...service("kept"),
      spec: { ...service("kept").spec, clusterIP: "10.96.9.9" },
    });
    expect([moved.status, moved.body.message]).toEqual([422, expect.stringContaining("may not change once set")]);
  });
});

describe("scale", () => {
  test("is read, patched and put", async () => {
    await client.create(DEPLOYMENTS, deployment("scaled", { replicas: 2 }));
    const path = `${DEPLOYMENTS}/scaled/scale`;
    const scale = await client.get(path);
    expect(scale).toMatchObject({
      kind: "Scale",
      spec: { replicas: 2 },
      status: { replicas: 0, selector: "faas_function=scaled" },
    });
    const put = await client.update(path, { ...scale, spec: { replicas: 5 } });
    expect(put.spec.replicas).toBe(5);
    expect((await client.send("PUT", path, { ...scale, spec: { replicas: 6 } })).status).toBe(409);
    await client.patch(path, [{ op: "replace", path: "/spec/replicas", value: 1 }], "json");
    expect((await client.get(`${DEPLOYMENTS}/scaled`)).spec.replicas).toBe(1);
    const { managedFields } = (await client.get(`${DEPLOYMENTS}/scaled`)).metadata;
    expect(managedFields.find((e: Answer) => e.subresource === "scale").fieldsV1).toEqual({
      "f:spec": { "f:replicas": {} },
    });
  });

  test.each<[replicas: unknown, status: number]>([
    [-1, 422],
    ["two", 400],
    [1.5, 400],
  ])("refuses %j replicas", async (replicas, status) => {
    await client.send("POST", DEPLOYMENTS, deployment("bad-scale"));
    const type = { "content-type": "application/merge-patch+json" };
    expect((await client.send("PATCH", `${DEPLOYMENTS}/bad-scale/scale`, { spec: { replicas } }, type)).status).toBe(
      status,
    );
  });
});

describe("deleting", () => {
  test("gives a status, or the object", async () => {
    await client.create(CONFIG_MAPS, configMap("gone"));
    expect(await client.delete(`${CONFIG_MAPS}/gone`)).toMatchObject({
      kind: "Status",
      status: "Success",
      details: { name: "gone", kind: "configmaps" },
    });
    await client.create(SERVICES, service("gone"));
    expect(await client.delete(`${SERVICES}/gone`)).toMatchObject({ kind: "Service" });
  });

  test("waits for finalizers", async () => {
    await client.create(CONFIG_MAPS, { metadata: { name: "held", finalizers: ["example.com/hold"] } });
    const marked = await client.delete(`${CONFIG_MAPS}/held`);
    expect(marked.metadata.deletionTimestamp).toBeDefined();
    expect((await client.delete(`${CONFIG_MAPS}/held`)).metadata.resourceVersion).toBe(marked.metadata.resourceVersion);
    await client.patch(`${CONFIG_MAPS}/held`, { metadata: { finalizers: null } });
    expect((await client.send("GET", `${CONFIG_MAPS}/held`)).status).toBe(404);
  });

  test("minds preconditions", async () => {
    const { metadata } = await client.create(CONFIG_MAPS, configMap("guarded"));
    const send = (preconditions: object) => client.send("DELETE", `${CONFIG_MAPS}/guarded`, { preconditions });
    expect((await send({ uid: "other" })).status).toBe(409);
    expect((await send({ resourceVersion: "1" })).status).toBe(409);
    expect((await send({ uid: metadata.uid, resourceVersion: metadata.resourceVersion })).status).toBe(200);
  });

  test("takes what a selector names", async () => {
    for (const name of ["c1", "c2"]) await client.create(CONFIG_MAPS, configMap(name, {}, { collect: "yes" }));
    const before = (await client.get(CONFIG_MAPS)).items.length;
    const { items } = await client.delete(`${CONFIG_MAPS}?labelSelector=collect%3Dyes`);
    expect(items).toHaveLength(2);
    expect((await client.get(CONFIG_MAPS)).items).toHaveLength(before - 2);
  });
});

test("a quota is a 403 with its reason", async () => {
  await client.create("/api/v1/namespaces", { metadata: { name: "small" } });
  const path = "/api/v1/namespaces/small";
  await client.create(`${path}/resourcequotas`, {
    metadata: { name: "few" },
    spec: { hard: { "count/deployments.apps": "1" } },
  });
  const small = (name: string) => ({ ...deployment(name), metadata: { name } });
  await client.create("/apis/apps/v1/namespaces/small/deployments", small("a"));
  const { status, body } = await client.send("POST", "/apis/apps/v1/namespaces/small/deployments", small("b"));
  expect([status, body.reason, body.message]).toEqual([
    403,
    "Forbidden",
    'deployments.apps "b" is forbidden: exceeded quota: few, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1',
  ]);
});

test("a token is asked for when the server has one", async () => {
  const guarded = await KubeServer.open({ token: "secret" });
  const path = `${guarded.url}${CORE}/pods`;
  expect((await fetch(path)).status).toBe(401);
  expect((await fetch(path, { headers: { authorization: "Bearer secret" } })).status).toBe(200);
  expect(JSON.parse(guarded.kubeconfig()).users[0].user).toEqual({ token: "secret" });
  await guarded.close();
  await guarded.close();
});

import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { V1Deployment, V1Pod } from "@kubernetes/client-node";
import type { Backend, ResolvedDeployment } from "../../../provider/backends/backend.ts";
import { buildDeployment } from "../../../provider/backends/kubernetes/resources/deployment.ts";
import { podEndpoints, readEndpoints } from "../../../provider/backends/kubernetes/resources/endpoints.ts";
import { objectName } from "../../../provider/backends/kubernetes/resources/version-unit.ts";
import { buildVersionsMap } from "../../../provider/backends/kubernetes/resources/versions-map.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { theirDeployment } from "../../support/faas-netes.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { around } from "./resources/fixtures.ts";
import { objectProblems, readOpenApi } from "./resources/object-schema.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
const SLICES = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`;
const DIGEST = `sha256:${"a".repeat(64)}`;

const KEPT = { generation: 1, last: 1, versions: [], latest: "v1", main: "v1", stable: "v1", history: [] };

const definition = (more: Partial<ResolvedDeployment> = {}): ResolvedDeployment => ({
  service: "fn",
  image: "registry.example/fn:1",
  namespace: NAMESPACE,
  ...more,
});

describe("a function with versions", () => {
  let kube: KubeServer;
  let client: KubeClient;
  let backend: Backend;
  const FN = { name: "fn", namespace: NAMESPACE };
  const live = async (name = "fn"): Promise<Answer> => await client.get(`${DEPLOYMENTS}/${name}`);
  const imageOf = ({ spec }: Answer): string => spec.template.spec.containers[0].image;
  const labelOf = ({ spec }: Answer): string | undefined => spec.template.metadata.labels["com.faaslane.version"];
  const rowOf = async (name: string) => {
    for await (const event of backend.watch(new AbortController().signal)) {
      if (event.type === "heartbeat") return undefined;
      if (event.type !== "removed" && event.function.name === name) return event.function;
    }
    return undefined;
  };

  beforeEach(async () => {
    kube = await KubeServer.open();
    client = new KubeClient(kube);
    backend = openBackend(kube);
  });

  afterEach(async () => {
    await backend.close(0);
    await kube.close();
  });

  test("gives back what it was deployed with, letter for letter, and its version and digest", async () => {
    const given = definition({
      version: "v3",
      digest: DIGEST,
      envProcess: "cat",
      envVars: { A: "$(B)", EMPTY: "" },
      constraints: ["node.platform.os == linux", "a=b"],
      limits: { memory: "1024Mi", cpu: "1000m" },
      labels: { team: "x" },
      annotations: { topic: "orders" },
      readOnlyRootFilesystem: true,
    });
    await backend.functions.create({ ...given, by: "me" });
    expect(await backend.functions.deployed?.(FN)).toEqual(given);
    expect(await backend.functions.get(FN)).toMatchObject({ image: given.image, labels: { team: "x" } });
    expect(imageOf(await live())).toBe(`${given.image}@${DIGEST}`);
    const other = openBackend(kube);
    expect(await other.functions.deployed?.(FN)).toEqual(given);
    await other.close(0);
    await backend.functions.create({ ...given, service: "fn@v2", version: "v2" });
    expect(await backend.functions.deployed?.({ ...FN, name: "fn@v2" })).toEqual({
      ...given,
      service: "fn@v2",
      version: "v2",
    });
    expect((await rowOf("fn"))?.version).toBe("v3");
    expect((await rowOf("fn@v2"))?.version).toBe("v2");
  });

  test("starts no pod anew for being numbered; another version's pods carry its number", async () => {
    await backend.functions.create(definition());
    const { spec, metadata } = await live();
    await backend.functions.update(definition({ version: "v1" }));
    expect((await live()).spec.template).toEqual(spec.template);
    expect((await live()).metadata.generation).toBe(metadata.generation);
    expect((await rowOf("fn"))?.version).toBe("v1");
    await backend.functions.update(definition({ version: "v2", image: "registry.example/fn:2" }));
    expect(labelOf(await live())).toBe("v2");
    const { generation } = (await live()).metadata;
    await backend.functions.update(definition({ version: "v2", image: "registry.example/fn:2" }));
    expect((await live()).metadata.generation).toBe(generation);
    expect(await backend.functions.get(FN)).toMatchObject({ labels: { faas_function: "fn" } });
    expect((await backend.functions.get(FN))?.labels).not.toHaveProperty("com.faaslane.version");
  });

  test("can be taken over by faas-netes, and back", async () => {
    const service = "shout";
    const unit = "shout@v2";
    await backend.functions.create(definition({ service, version: "v1", digest: DIGEST }));
    await backend.functions.create(definition({ service: unit, version: "v2" }));
    const theirs = theirDeployment();
    const { uid: _u, resourceVersion: _r, creationTimestamp: _c, generation: _g, ...meta } = theirs.metadata ?? {};
    const spec = { ...theirs.spec, template: { ...theirs.spec?.template } };
    delete spec.template.spec?.volumes;
    delete spec.template.spec?.containers[0]?.volumeMounts;
    const mine = await live(service);
    // As faas-netes updates: what it does not know of is replaced.
    const replaced = { apiVersion: "apps/v1", kind: "Deployment", metadata: meta, spec };
    await client.update(`${DEPLOYMENTS}/${service}?fieldManager=faas-netes`, replaced);
    const deployed = await eventually("it is seen", async () => {
      const found = await backend.functions.deployed?.({ name: service, namespace: NAMESPACE });
      return found?.version === undefined ? found : undefined;
    });
    expect(deployed).toMatchObject({ image: "docker.io/local/fn-echo:1" });
    expect(deployed).not.toHaveProperty("digest");
    // The same object, so that versions stay; which faas-netes neither lists nor calls.
    expect((await live(service)).metadata.uid).toBe(mine.metadata.uid);
    expect((await live(objectName(unit))).spec.replicas).toBe(1);
    const listed = await client.get(`${DEPLOYMENTS}?labelSelector=faas_function`);
    expect(listed.items.map(({ metadata }: Answer) => metadata.name)).toEqual([service]);
    const { selector } = (await client.get(`${SERVICES}/${service}`)).spec;
    expect(selector).toEqual({ faas_function: service });
    const called = async () => {
      const slices = (await client.get(`${SLICES}?labelSelector=kubernetes.io/service-name%3D${service}`)).items;
      return slices.flatMap(({ endpoints }: Answer) => endpoints.map(({ targetRef }: Answer) => targetRef.name));
    };
    expect((await called()).some((name: string) => name.startsWith(objectName(unit)))).toBe(false);

    await backend.functions.update(definition({ service, version: "v3", image: "registry.example/fn:3" }));
    expect(labelOf(await live(service))).toBe("v3");
    expect(await backend.functions.deployed?.({ name: service, namespace: NAMESPACE })).toMatchObject({
      version: "v3",
      image: "registry.example/fn:3",
    });
  });

  test("whose image somebody changes by hand is what it is then", async () => {
    await backend.functions.create(definition({ version: "v1", digest: DIGEST, limits: { cpu: "1000m" } }));
    const template = { spec: { containers: [{ name: "fn", image: "other:1" }] } };
    await client.patch(`${DEPLOYMENTS}/fn`, { spec: { template } }, "strategic-merge");
    const deployed = await eventually("it is seen", async () => {
      const found = await backend.functions.deployed?.(FN);
      return found?.image === "other:1" ? found : undefined;
    });
    expect(deployed).not.toHaveProperty("version");
    expect(deployed).not.toHaveProperty("digest");
    await client.patch(`${DEPLOYMENTS}/fn`, { metadata: { annotations: { "com.faaslane.deployed": "{" } } });
    await eventually("it is read all the same", async () => (await backend.functions.get(FN))?.image === "other:1");
  });
});

test.each<[what: string, object: object]>([
  [
    "the Deployment of a version",
    buildDeployment(definition({ service: "fn@v2", version: "v2", digest: DIGEST }), around()),
  ],
  ["that of a function with versions", buildDeployment(definition({ version: "v1", digest: DIGEST }), around())],
  ["what is kept about versions", buildVersionsMap({ name: "fn", namespace: NAMESPACE }, KEPT, undefined)],
])("%s is allowed by the API server's schemas", async (_what, object) => {
  expect(await objectProblems(object as never, readOpenApi())).toEqual([]);
});

describe("replicas while another version takes their place", () => {
  const pod = (name: string, version?: string): V1Pod => ({
    metadata: { name, labels: { faas_function: "fn", ...(version && { "com.faaslane.version": version }) } },
    status: { podIP: "10.0.0.1", conditions: [{ type: "Ready", status: "True" }] },
  });
  const told = (deployment: V1Deployment, pods: V1Pod[]) =>
    readEndpoints(deployment, podEndpoints(pods)).endpoints.map(({ instance, version }) => [instance, version]);

  test.each<[rule: string, version: string | undefined, pods: V1Pod[], expected: unknown[]]>([
    ["nobody counts them", undefined, [pod("a")], [["a", undefined]]],
    ["all run it", "v2", [pod("a", "v2")], [["a", undefined]]],
    [
      "some run the one before",
      "v3",
      [pod("a", "v2"), pod("b", "v3")],
      [
        ["a", "v2"],
        ["b", undefined],
      ],
    ],
    [
      "some are from before they were labelled",
      "v2",
      [pod("a"), pod("b", "v2")],
      [
        ["a", "v1"],
        ["b", undefined],
      ],
    ],
  ])("%s", (_rule, version, pods, expected) => {
    const deployment = buildDeployment(definition(version === undefined ? {} : { version }), around());
    expect(told(deployment, pods)).toEqual(expected);
  });

  test("all of them are the first version's while none was labelled", () => {
    const deployment = buildDeployment(definition({ version: "v1" }), { ...around(), versionMark: undefined });
    expect(told(deployment, [pod("a")])).toEqual([["a", undefined]]);
    expect(readEndpoints(deployment, []).version).toBe("v1");
  });
});

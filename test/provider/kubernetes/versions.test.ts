import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import type { FunctionVersions } from "../../../contract/versions/function-versions.ts";
import { createLogger } from "../../../kit/log.ts";
import type { ResolvedDeployment } from "../../../provider/backends/backend.ts";
import { buildCrds } from "../../../provider/backends/kubernetes/resources/crds.ts";
import { objectName } from "../../../provider/backends/kubernetes/resources/version-unit.ts";
import type { VersionControl } from "../../../provider/versions/version-control.ts";
import { type VersionedBackend, withVersions } from "../../../provider/versions/versioned-backend.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { KubeServer } from "../../support/kube/server.ts";
import type { Fields } from "../../support/kube/types.ts";
import { ProviderAccount } from "./account.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
const FUNCTIONS = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/functions`;
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const FN = { name: "fn", namespace: NAMESPACE };
const PATIENCE_MS = 20_000;

const account = new ProviderAccount();
const operator = { leaseDurationMs: 1_000 };
let kube: KubeServer;
let client: KubeClient;
let backends: VersionedBackend[] = [];

beforeEach(async () => {
  kube = await KubeServer.open({ account, crds: buildCrds() as unknown as Fields[] });
  client = new KubeClient(kube);
});

afterEach(async () => {
  await Promise.all(backends.splice(0).map((backend) => backend.close(0)));
  await kube.close();
  account.expectNothingRefused();
});

function open(withObjects = true): VersionedBackend {
  const raw = openBackend(kube, withObjects ? { operator } : {});
  const backend = withVersions(raw, createLogger("silent"));
  backends.push(backend);
  return backend;
}

async function stop(backend: VersionedBackend): Promise<void> {
  backends = backends.filter((each) => each !== backend);
  await backend.close(0);
}

const definition = (more: Partial<ResolvedDeployment> = {}): ResolvedDeployment => ({
  service: "fn",
  image: "fn:1",
  namespace: NAMESPACE,
  ...more,
});
const MANUAL = { "com.faaslane.rollout": "manual", "com.faaslane.rollback-window": "0s" };
const kept = async (backend: VersionedBackend): Promise<FunctionVersions> => {
  const versions = await backend.versions?.get(FN);
  if (!versions) throw new Error("nothing is kept");
  return versions;
};
const control = (backend: VersionedBackend) => backend.control as VersionControl;
const rowsOf = async (backend: VersionedBackend): Promise<Map<string, FunctionEndpoints>> => {
  const rows = new Map<string, FunctionEndpoints>();
  for await (const event of backend.watch(new AbortController().signal)) {
    if (event.type === "heartbeat") break;
    if (event.type !== "removed") rows.set(event.function.name, event.function);
  }
  return rows;
};
const readyOf = async (backend: VersionedBackend, name: string) =>
  (await rowsOf(backend)).get(name)?.endpoints.filter(({ state }) => state === "ready").length ?? 0;
const podNames = async (): Promise<string[]> =>
  (await client.get(PODS)).items.map(({ metadata }: Answer) => metadata.name).sort();
const deploymentNames = async (): Promise<string[]> =>
  (await client.get(DEPLOYMENTS)).items.map(({ metadata }: Answer) => metadata.name).sort();
const mainImage = async (): Promise<string> =>
  (await client.get(`${DEPLOYMENTS}/fn`)).spec.template.spec.containers[0].image;
const everything = (version: string) => ({ targets: [{ version, share: 10_000 }] });

describe("a function that is deployed over the API", () => {
  test("has its new version beside it, and calls move between warm ones without a pod", async () => {
    const backend = open();
    await backend.functions.create(definition({ annotations: MANUAL }));
    await backend.functions.update(definition({ image: "fn:2", annotations: MANUAL }));
    expect(await kept(backend)).toMatchObject({ last: 2, main: "v1", latest: "v1" });
    await backend.functions.scale({ ...FN, name: "fn@v2" }, 1);
    await eventually("v2 is ready", async () => (await readyOf(backend, "fn@v2")) === 1, PATIENCE_MS);
    expect(await mainImage()).toBe("fn:1");
    expect(await deploymentNames()).toEqual(["fn", objectName("fn@v2")]);
    expect(await backend.functions.list(NAMESPACE)).toHaveLength(1);
    const before = await podNames();
    const split = [
      { version: "v1", share: 2_500 },
      { version: "v2", share: 7_500 },
    ];
    await control(backend).setTraffic(FN, { targets: split }, "me");
    await control(backend).setTraffic(FN, { targets: [...split].reverse() }, "me");
    // The same over the annotation.
    const annotations = { ...MANUAL, "com.faaslane.traffic": "v1=50,v2=50" };
    await backend.functions.update(definition({ image: "fn:2", annotations }));
    expect((await rowsOf(backend)).get("fn")?.traffic).toEqual([
      { version: "v1", share: 5_000 },
      { version: "v2", share: 5_000 },
    ]);
    expect(await podNames()).toEqual(before);
    expect((await client.get(`${FUNCTIONS}/fn`)).spec.image).toBe("fn:1");
    const status = await eventually(
      "its Function shows it",
      async () => {
        const { status } = await client.get(`${FUNCTIONS}/fn`);
        const isShown = status?.traffic?.length === 2 && status.versions?.every((one: Answer) => one.availableReplicas);
        return isShown ? status : undefined;
      },
      PATIENCE_MS,
    );
    expect(status.traffic).toEqual([
      { revisionName: "v1", latestRevision: true, percent: 50 },
      { revisionName: "v2", latestRevision: false, percent: 50 },
    ]);
    expect(status.versions).toEqual([
      { name: "v2", image: "fn:2", replicas: 1, availableReplicas: 1 },
      { name: "v1", image: "fn:1", replicas: 1, availableReplicas: 1 },
    ]);
  });

  test("settles in its own Deployment, and the one beside goes", async () => {
    const backend = open();
    await backend.functions.create(definition({ annotations: MANUAL }));
    await backend.functions.update(definition({ image: "fn:2", annotations: MANUAL }));
    await backend.functions.scale({ ...FN, name: "fn@v2" }, 1);
    await eventually("v2 is ready", async () => (await readyOf(backend, "fn@v2")) === 1, PATIENCE_MS);
    await control(backend).setTraffic(FN, everything("v2"), "me");
    await eventually("v2 is the main one", async () => (await kept(backend)).main === "v2", PATIENCE_MS);
    await eventually("it is alone", async () => (await deploymentNames()).length === 1, PATIENCE_MS);
    expect(await mainImage()).toBe("fn:2");
    expect((await client.get(`${FUNCTIONS}/fn`)).spec.image).toBe("fn:2");
    expect((await rowsOf(backend)).get("fn")).toMatchObject({ version: "v2" });
  });

  test("is the same to two providers, of which either takes deploys and may stop", async () => {
    const [one, two] = [open(), open()];
    await one.functions.create(definition({ annotations: MANUAL, constraints: ["kubernetes.io/os == linux"] }));
    for (let number = 2; number <= 5; number++) {
      const backend = number % 2 === 0 ? two : one;
      const limits = { cpu: `${number}000m` };
      await eventually("it is seen", async () => (await kept(backend)).last === number - 1, PATIENCE_MS);
      await backend.functions.update(
        definition({ annotations: MANUAL, limits, constraints: ["kubernetes.io/os == linux"] }),
      );
      await backend.functions.scale({ ...FN, name: `fn@v${number}` }, 1);
    }
    await stop(one);
    const names = ["fn@v2", "fn@v3", "fn@v4", "fn@v5"];
    for (const name of names)
      await eventually(`${name} is ready`, async () => (await readyOf(two, name)) === 1, PATIENCE_MS);
    // Nobody has made a version of what another has deployed.
    expect((await kept(two)).versions.map(({ version }) => version)).toEqual(["v1", "v2", "v3", "v4", "v5"]);
    expect(await deploymentNames()).toEqual(["fn", ...names.map(objectName)].sort());
  });

  test("is left as it was deployed by the provider that acts on Functions", async () => {
    const [one, two] = [open(), open()];
    const more = { constraints: ["kubernetes.io/os == linux"], limits: { cpu: "1000m" }, envVars: { A: "1" } };
    await one.functions.create(definition(more));
    for (const [number, backend] of [two, one].entries()) {
      const image = `fn:${number + 2}`;
      await backend.functions.update(definition({ ...more, image, annotations: { topic: image } }));
      const { metadata, spec } = await client.get(`${DEPLOYMENTS}/fn`);
      await eventually(
        "it is settled",
        async () => {
          const { metadata, status } = await client.get(`${FUNCTIONS}/fn`);
          const ready = status?.conditions?.find(({ type }: Answer) => type === "Ready");
          return status?.observedGeneration === metadata.generation && ready?.status === "True";
        },
        PATIENCE_MS,
      );
      const after = await client.get(`${DEPLOYMENTS}/fn`);
      expect(after.spec).toEqual(spec);
      expect(after.metadata.annotations).toMatchObject({
        "com.faaslane.hash": metadata.annotations["com.faaslane.hash"],
        "com.faaslane.deployed": metadata.annotations["com.faaslane.deployed"],
      });
    }
  });

  test("in place is one write of its Deployment, and no version of what Kubernetes writes another way", async () => {
    const backend = open(false);
    const more = { limits: { cpu: "1000m" }, constraints: ["kubernetes.io/os == linux"], envVars: { A: "$(B)" } };
    await backend.functions.create(definition(more));
    const { metadata } = await client.get(`${DEPLOYMENTS}/fn`);
    await backend.functions.update(definition(more));
    expect((await client.get(`${DEPLOYMENTS}/fn`)).metadata.generation).toBe(metadata.generation);
    await backend.functions.update(definition({ ...more, image: "fn:2" }));
    await eventually("it is ready", async () => (await readyOf(backend, "fn")) === 1, PATIENCE_MS);
    expect(await kept(backend)).toMatchObject({ last: 2, main: "v2", latest: "v2", previous: "v1" });
    expect(await deploymentNames()).toEqual(["fn"]);
  });

  test("is taken over by somebody else, whose version it is then", async () => {
    const backend = open(false);
    await backend.functions.create(definition());
    const { metadata, spec } = await client.get(`${DEPLOYMENTS}/fn`);
    const [container] = spec.template.spec.containers;
    const template = {
      ...spec.template,
      spec: { ...spec.template.spec, containers: [{ ...container, image: "t:9" }] },
    };
    const { name, namespace, labels } = metadata;
    const theirs = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name, namespace, labels } };
    await client.update(`${DEPLOYMENTS}/fn?fieldManager=faas-netes`, { ...theirs, spec: { ...spec, template } });
    await eventually("it is a version", async () => (await kept(backend)).main === "v2", PATIENCE_MS);
    expect((await kept(backend)).versions.at(-1)?.content.image).toBe("t:9");
    await backend.functions.update(definition({ image: "fn:3" }));
    expect(await kept(backend)).toMatchObject({ main: "v3", latest: "v3" });
    expect(await mainImage()).toBe("fn:3");
  });

  test("that faas-netes has made is at its first version, and no pod starts for that", async () => {
    const labels = { faas_function: "fn" };
    const container = { name: "fn", image: "t:1" };
    const template = { metadata: { labels }, spec: { containers: [container] } };
    const spec = { selector: { matchLabels: labels }, template };
    await client.create(`${DEPLOYMENTS}?fieldManager=faas-netes`, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "fn", namespace: NAMESPACE, labels },
      spec,
    });
    const backend = open(false);
    await eventually("it is seen", async () => (await readyOf(backend, "fn")) === 1, PATIENCE_MS);
    expect((await rowsOf(backend)).get("fn")).toMatchObject({ version: "v1" });
    expect(await backend.versions?.get(FN)).toBeUndefined();
    expect((await client.get(`${DEPLOYMENTS}/fn`)).metadata.generation).toBe(1);
    await backend.functions.update(definition({ image: "fn:2", annotations: MANUAL }));
    const versions = await kept(backend);
    expect(versions.versions.map(({ content }) => content.image)).toEqual(["t:1", "fn:2"]);
    expect(versions).toMatchObject({ main: "v1", latest: "v1" });
  });

  test("has a version for each value of a secret that it tracks", async () => {
    const backend = open();
    const secret = { name: "key", namespace: NAMESPACE };
    await backend.secrets.create(secret, Buffer.from("one"));
    const tracks = definition({
      annotations: { ...MANUAL, "com.faaslane.secrets.track": "true" },
      secrets: [secret.name],
    });
    await backend.functions.create(tracks);
    await eventually("it is ready", async () => (await readyOf(backend, "fn")) === 1, PATIENCE_MS);
    const before = await podNames();
    await backend.secrets.update(secret, Buffer.from("two"));
    expect(await kept(backend)).toMatchObject({ last: 2, main: "v1", latest: "v1" });
    await backend.functions.update(tracks);
    expect((await kept(backend)).last).toBe(2);
    expect(await podNames()).toEqual(before);
  });
});

describe("a Function that somebody applies", () => {
  const apply = (spec: Record<string, unknown>) =>
    client.apply(
      `${FUNCTIONS}/fn`,
      {
        apiVersion: "openfaas.com/v1",
        kind: "Function",
        metadata: { name: "fn", namespace: NAMESPACE },
        spec: { name: "fn", image: "fn:1", ...spec },
      },
      "kubectl",
      true,
    );
  const condition = (object: Answer, wanted: string) =>
    object.status?.conditions?.find(({ type }: Answer) => type === wanted);
  const settled = async (generation: number): Promise<Answer> =>
    await eventually(
      `generation ${generation} is settled`,
      async () => {
        const object = await client.get(`${FUNCTIONS}/fn`);
        const isSeen = object.status?.observedGeneration === generation;
        return isSeen && condition(object, "Ready")?.status === "True" ? object : undefined;
      },
      PATIENCE_MS,
    );
  const annotations = MANUAL;

  test("gets a version beside it for what changes, with the calls that its traffic block says", async () => {
    const backend = open();
    await apply({ annotations, traffic: [{ latestRevision: true, percent: 100, tag: "now" }] });
    const first = await settled(1);
    expect(first.status.traffic).toEqual([{ revisionName: "v1", latestRevision: true, percent: 100, tag: "now" }]);
    const pods = await podNames();
    const traffic = [
      { latestRevision: true, percent: 100 },
      { revisionName: "fn-00001", tag: "old" },
    ];
    await apply({ annotations, traffic, image: "fn:2" });
    await settled(2);
    expect(await mainImage()).toBe("fn:1");
    expect(await kept(backend)).toMatchObject({ last: 2, main: "v1", latest: "v1" });
    await backend.functions.scale({ ...FN, name: "fn@v2" }, 1);
    await eventually("v2 is ready", async () => (await readyOf(backend, "fn@v2")) === 1, PATIENCE_MS);
    await apply({
      annotations,
      image: "fn:2",
      traffic: [
        { revisionName: "v1", percent: 0.01 },
        { revisionName: "v2", percent: 99.99 },
      ],
    });
    const split = await settled(3);
    expect((await kept(backend)).traffic).toEqual([
      { version: "v1", share: 1 },
      { version: "v2", share: 9_999 },
    ]);
    await eventually("it is shown", async () => {
      const { status } = await client.get(`${FUNCTIONS}/fn`);
      return status.traffic?.[0]?.percent === 0.01 && status.traffic[1]?.percent === 99.99;
    });
    expect(split.spec.image).toBe("fn:2");
    // The first version's pods are those of the beginning.
    expect(await podNames()).toEqual(expect.arrayContaining(pods));
  });

  test("stays as it was written when another version gets the calls, and over a restart", async () => {
    const backend = open();
    await apply({ annotations });
    await settled(1);
    await apply({ annotations, image: "fn:2" });
    const { spec } = await settled(2);
    await control(backend).setTraffic(FN, everything("v2"), "me");
    await eventually("v2 is the main one", async () => (await kept(backend)).main === "v2", PATIENCE_MS);
    await eventually("v2 runs there", async () => (await mainImage()) === "fn:2", PATIENCE_MS);
    await control(backend).rollback(FN, { to: "v1" }, "me");
    await eventually("v1 is the main one again", async () => (await kept(backend)).main === "v1", PATIENCE_MS);
    expect((await client.get(`${FUNCTIONS}/fn`)).spec).toEqual(spec);
    const before = await kept(backend);
    await stop(backend);
    const next = open();
    // Its own Deployment has to be put right, by what is kept and not by what the Function says.
    await client.delete(`${DEPLOYMENTS}/fn`);
    await eventually(
      "it is made again",
      async () => (await deploymentNames()).includes("fn") && (await mainImage()),
      PATIENCE_MS,
    );
    expect(await mainImage()).toBe("fn:1");
    expect(await kept(next)).toMatchObject({ latest: before.latest, main: "v1", last: 2 });
    expect((await client.get(`${FUNCTIONS}/fn`)).spec).toEqual(spec);
  });

  test("that goes back to what it was before is deployed so", async () => {
    const backend = open();
    await apply({});
    await settled(1);
    await apply({ image: "fn:2" });
    await settled(2);
    await eventually("it is kept", async () => (await kept(backend)).main === "v2", PATIENCE_MS);
    expect(await mainImage()).toBe("fn:2");
    await apply({ image: "fn:1" });
    await settled(3);
    await eventually("it is kept", async () => (await kept(backend)).main === "v1", PATIENCE_MS);
    expect(await mainImage()).toBe("fn:1");
    expect((await kept(backend)).versions.map(({ version }) => version)).toEqual(["v1", "v2"]);
  });

  test.each<[what: string, traffic: object[], rule: string]>([
    ["a wrong sum", [{ revisionName: "v1", percent: 90 }], "spec.traffic: percentages add up to 90, not to 100"],
    ["three decimals", [{ latestRevision: true, percent: 99.999 }], "spec.traffic[0].percent: 99.999 must be"],
    [
      "both a revision and the latest",
      [{ revisionName: "v1", latestRevision: true, percent: 100 }],
      "spec.traffic[0].latestRevision: must not be true beside revisionName",
    ],
    ["neither", [{ latestRevision: false, percent: 100 }], "spec.traffic[0].latestRevision: must be true"],
    ["another's revision", [{ revisionName: "other-00001", percent: 100 }], "spec.traffic[0].revisionName:"],
    ["a version that there is not", [{ revisionName: "v9", percent: 100 }], "there is no version v9"],
    [
      "a tag twice",
      [
        { tag: "a", percent: 50 },
        { tag: "a", percent: 50 },
      ],
      'tag "a" is given twice',
    ],
  ])("is refused in words for %s", async (_what, traffic, rule) => {
    open();
    await apply({ traffic });
    const refused = await eventually(
      "it is refused",
      async () => {
        const stalled = condition(await client.get(`${FUNCTIONS}/fn`), "Stalled");
        return stalled?.status === "True" ? stalled : undefined;
      },
      PATIENCE_MS,
    );
    expect(refused.message).toContain(rule);
    expect(await deploymentNames()).toEqual([]);
  });
});

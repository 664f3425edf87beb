import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { theirDeployment, theirSecret, theirService } from "../support/faas-netes.ts";
import { KubeServer } from "../support/kube/server.ts";
import type { KubeObject } from "../support/kube/types.ts";
import { testNeeding } from "../support/needing.ts";
import { noRecordings, readRecording } from "../support/recordings.ts";
import { type Answer, CORE, DEPLOYMENTS, KubeClient, OpenWatch, PODS, SERVICES, SLICES } from "./client.ts";

/** What the API server of a real cluster answered. */
interface RecordedCase {
  readonly case: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly contentType: string;
    readonly body: Answer;
  };
  readonly status: number;
  readonly body: Answer;
}

const testRecorded = testNeeding(noRecordings);

let kube: KubeServer;
let client: KubeClient;

beforeAll(async () => {
  kube = await KubeServer.open();
  client = new KubeClient(kube);
});

afterAll(async () => {
  await kube.close();
});

testRecorded("wrong requests are answered as by a real API server", async () => {
  const cases = JSON.parse(readRecording("k8s-errors.json")) as RecordedCase[];
  // The controllers have nothing to do for it: it stays at zero.
  const stale = cases.find((each) => each.case.startsWith("update with a stale")) as RecordedCase;
  kube.store.put("deployments.apps", stale.request.body as KubeObject);
  for (const recorded of cases) {
    const { method, path, contentType } = recorded.request;
    let body = recorded.request.body as Answer;
    const live = () => kube.object("deployments.apps", "openfaas-fn", "plain").metadata.resourceVersion;
    if (recorded.case === "update immutable selector")
      body = { ...body, metadata: { ...body.metadata, resourceVersion: live() } };
    if (recorded.case.startsWith("watch from an expired")) kube.compact();
    const reply = await client.send(method, path, body ?? undefined, { "content-type": contentType });
    expect([recorded.case, reply.status]).toEqual([recorded.case, recorded.status]);
    expect([recorded.case, withoutRevisions(reply.body)]).toEqual([recorded.case, withoutRevisions(recorded.body)]);
  }
});

/** Revisions depend on what else happened. */
function withoutRevisions(body: Answer): Answer {
  return JSON.parse(
    JSON.stringify(body)
      .replace(/"resourceVersion":"\d+"/g, '"resourceVersion":"*"')
      .replace(/\(\d+\)/, "(*)"),
  );
}

describe("objects of a real cluster", () => {
  /** Fields that the API server filled in, which faas-netes did not send. */
  function asSent(recorded: Answer): Answer {
    const { metadata, spec } = structuredClone(recorded);
    for (const field of ["progressDeadlineSeconds"]) delete spec[field];
    const pod = spec.template.spec;
    for (const field of ["schedulerName", "terminationGracePeriodSeconds", "securityContext"]) delete pod[field];
    for (const container of pod.containers) {
      for (const field of ["terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"])
        delete container[field];
      for (const probe of [container.livenessProbe, container.readinessProbe]) delete probe.httpGet.scheme;
    }
    delete pod.volumes[1].projected.defaultMode;
    const { name, annotations, labels } = metadata;
    delete annotations["deployment.kubernetes.io/revision"];
    return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name, annotations, labels }, spec };
  }

  test("a deployment gets the same defaults and ends with the same status", async () => {
    const recorded = theirDeployment() as Answer;
    await client.create(`${CORE}/secrets`, { metadata: { name: "api-key" }, stringData: { "api-key": "hunter2" } });
    await client.create(`${DEPLOYMENTS}?fieldValidation=Strict`, asSent(recorded));
    const live = await eventually("it is available", async () => {
      const { status, spec, metadata } = await client.get(`${DEPLOYMENTS}/shout`);
      return status?.conditions?.[1]?.reason === "NewReplicaSetAvailable" && { status, spec, metadata };
    });
    expect(live.spec).toEqual(recorded.spec);
    expect(live.metadata.annotations).toEqual(recorded.metadata.annotations);
    const plain = (status: Answer) => {
      const conditions = status.conditions.map(({ type, status: value, reason }: Answer) => ({ type, value, reason }));
      return { ...status, conditions };
    };
    expect(plain(live.status)).toEqual(plain(recorded.status));
  });

  test("a service gets the same defaults", async () => {
    const recorded = theirService() as Answer;
    const { clusterIP, clusterIPs, internalTrafficPolicy, ipFamilies, ipFamilyPolicy, sessionAffinity, ...spec } =
      recorded.spec;
    const { name, annotations } = recorded.metadata;
    const created = await client.create(SERVICES, { metadata: { name, annotations }, spec });
    expect(Object.keys(created.spec).sort()).toEqual(Object.keys(recorded.spec).sort());
    const rest = { internalTrafficPolicy, ipFamilies, ipFamilyPolicy, sessionAffinity, ...spec };
    expect(created.spec).toMatchObject(rest);
    expect([clusterIP]).toEqual(clusterIPs);
    expect(created.spec.clusterIPs).toEqual([created.spec.clusterIP]);
  });

  test("a secret is encoded the same way", async () => {
    const { data, type } = theirSecret();
    const stored = await client.get(`${CORE}/secrets/api-key`);
    expect({ data: stored.data, type: stored.type }).toEqual({ data, type });
  });
});

/** Every path of fields that a value has; items of lists are alike. */
function fieldPaths(value: Answer, prefix = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldPaths(item, `${prefix}[]`));
  if (typeof value !== "object" || value === null) return [prefix];
  return Object.entries(value).flatMap(([name, item]) => fieldPaths(item, `${prefix}.${name}`));
}

testRecorded("what is watched of a ready pod and its endpoint has the fields of a real cluster's", async () => {
  const lines = readRecording("k8s-watch-scale.ndjson")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Answer);
  const eventOf = (watch: string, holds: (object: Answer) => boolean) =>
    lines.find((line) => line.watch === watch && holds(line.event.object)).event.object;
  const isReady = (pod: Answer) => pod.status?.conditions?.find((c: Answer) => c.type === "Ready")?.status === "True";
  const realPod = eventOf("pods", isReady);
  const realSlice = eventOf("endpointslices", (slice) => slice.endpoints?.[0]?.conditions.ready === true);
  const pods = await OpenWatch.open(kube, `${PODS}?watch=1&allowWatchBookmarks=true`);
  const slices = await OpenWatch.open(kube, `${SLICES}?watch=1`);
  const { containers } = realPod.spec;
  const container = { ...containers[0], volumeMounts: undefined };
  const labels = { faas_function: "plain", team: "x" };
  const template = { metadata: { labels, annotations: { note: "y" } }, spec: { containers: [container] } };
  const body = { metadata: { name: "like" }, spec: { selector: { matchLabels: labels }, template } };
  await client.create(SERVICES, {
    metadata: { name: "like" },
    spec: { selector: labels, ports: [{ name: "http", port: 8080 }] },
  });
  await client.create(DEPLOYMENTS, body);
  const ours = await eventually("the pod is ready", () =>
    pods.events.find(({ object }) => object.metadata.name.startsWith("like-") && isReady(object)),
  );
  const slice = await eventually("so is its endpoint", () =>
    slices.events.find(
      ({ object }) => object.metadata.generateName === "like-" && object.endpoints?.[0]?.conditions.ready === true,
    ),
  );
  // Mounted tokens, observed resources and what the recording was stripped of do not matter to clients.
  const ignored =
    /^\.spec\.volumes|volumeMounts|managedFields|\.allocatedResources|containerStatuses\[\]\.resources|hostIP|annotations/;
  const relevant = (object: Answer) => [...new Set(fieldPaths(object))].filter((path) => !ignored.test(path)).sort();
  expect(relevant(ours.object)).toEqual(relevant(realPod));
  expect(relevant(slice.object)).toEqual(relevant(realSlice));
  pods.close();
  slices.close();
});

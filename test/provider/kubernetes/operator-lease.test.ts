import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createLogger } from "../../../kit/log.ts";
import { KubernetesClient } from "../../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { holdLease } from "../../../provider/backends/kubernetes/operator/lease.ts";
import {
  decideLease,
  heldLease,
  type LeaseResource,
  type LeaseSpec,
  releasedLease,
  sight,
} from "../../../provider/backends/kubernetes/operator/lease-record.ts";
import { buildCrds } from "../../../provider/backends/kubernetes/resources/crds.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { jsonBody } from "../../support/json-body.ts";
import { KubeServer } from "../../support/kube/server.ts";
import type { Fields } from "../../support/kube/types.ts";
import { temporaryFolder } from "../../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../../support/server-process.ts";
import { NAMESPACE, openBackend, writeKubeconfig } from "./support.ts";

const LEASE = "/apis/coordination.k8s.io/v1/namespaces/openfaas/leases/faaslane-provider";
const FUNCTIONS = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/functions`;
const DURATION_MS = 1_000;

describe("who holds a lease", () => {
  const lease = (spec: LeaseSpec, resourceVersion = "1"): LeaseResource => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "l", namespace: "n", resourceVersion },
    spec,
  });
  const theirs = lease({ holderIdentity: "them", leaseDurationSeconds: 15 });
  const seen = { version: "1", atMs: 1_000 };

  test.each<[who: string, lease: LeaseResource, nowMs: number, kind: string]>([
    ["nobody: it may be taken", lease({ holderIdentity: "" }), 1_000, "take"],
    ["nobody yet: it may be taken", lease({}), 1_000, "take"],
    ["we: it is to be renewed", lease({ holderIdentity: "me", leaseDurationSeconds: 15 }), 90_000, "renew"],
    ["another one: it is theirs", theirs, 15_999, "wait"],
    ["another one that has not renewed it for its whole time: it may be taken", theirs, 16_000, "take"],
  ])("%s", (_who, given, nowMs, kind) => {
    expect(decideLease(given, "me", seen, nowMs).kind).toBe(kind);
  });

  test("counts from when its present version was first seen, whatever its times say", () => {
    const later = lease({ holderIdentity: "them", leaseDurationSeconds: 15, renewTime: "1970-01-01T00:00:00.000000Z" });
    expect(sight(later, seen, 9_000)).toBe(seen);
    expect(sight({ ...later, metadata: { ...later.metadata, resourceVersion: "2" } }, seen, 9_000).atMs).toBe(9_000);
  });

  test("is written with its times, its changes of hands counted", () => {
    const time = new Date("2026-11-21T12:00:00.123Z");
    const taken = heldLease(theirs, { me: "me", durationMs: 15_000, time });
    expect(taken.spec).toEqual({
      holderIdentity: "me",
      leaseDurationSeconds: 15,
      acquireTime: "2026-11-21T12:00:00.123000Z",
      renewTime: "2026-11-21T12:00:00.123000Z",
      leaseTransitions: 1,
    });
    const renewed = heldLease(taken, { me: "me", durationMs: 15_000, time: new Date("2026-11-21T12:00:02Z") });
    expect(renewed.spec).toMatchObject({ acquireTime: "2026-11-21T12:00:00.123000Z", leaseTransitions: 1 });
    expect(renewed.spec?.renewTime).toBe("2026-11-21T12:00:02.000000Z");
    expect(releasedLease(renewed, time).spec).toMatchObject({ holderIdentity: "", leaseTransitions: 1 });
  });
});

let kube: KubeServer;
let client: KubeClient;

beforeEach(async () => {
  kube = await KubeServer.open({ crds: buildCrds() as unknown as Fields[] });
  client = new KubeClient(kube);
});

afterEach(async () => {
  await kube.close();
});

const holder = async (): Promise<string | undefined> => {
  const { status, body } = await client.send("GET", LEASE);
  return status === 200 ? ((body as Answer).spec.holderIdentity ?? "") : undefined;
};

describe("holding a lease", () => {
  const leave = new AbortController();
  const clients: KubernetesClient[] = [];

  /** A process that leads when it may, and fails at its first `failures` tries. */
  function candidate(identity: string, failures = 0) {
    const own = new KubernetesClient({ server: new URL(kube.url), credentials: async () => ({}) });
    clients.push(own);
    const stop = new AbortController();
    const state = { leads: 0, times: 0 };
    const lead = async (leading: AbortSignal) => {
      state.leads += 1;
      state.times += 1;
      if (state.times <= failures) {
        state.leads -= 1;
        throw new Error("cannot lead");
      }
      await new Promise<void>((resolve) => leading.addEventListener("abort", () => resolve(), { once: true }));
      state.leads -= 1;
    };
    const options = {
      client: own,
      namespace: "openfaas",
      name: "faaslane-provider",
      identity,
      durationMs: DURATION_MS,
      log: createLogger("silent"),
    };
    const ended = holdLease(options, lead, AbortSignal.any([stop.signal, leave.signal]));
    return {
      state,
      stop: async () => {
        stop.abort();
        await ended;
      },
    };
  }

  afterEach(() => {
    for (const own of clients.splice(0)) own.close();
  });

  test("is for one at a time, and for the next at once when it is given back", async () => {
    const all = ["a", "b", "c"].map((identity) => candidate(identity));
    const leaders = () => all.filter(({ state }) => state.leads > 0);
    await eventually("one leads", () => leaders().length === 1);
    const [first] = leaders();
    await first?.stop();
    const before = Date.now();
    await eventually("another leads", () => leaders().length === 1);
    // Without waiting for the lease to run out.
    expect(Date.now() - before).toBeLessThan(DURATION_MS);
    expect(all.reduce((sum, { state }) => sum + state.leads, 0)).toBe(1);
    await Promise.all(all.map(({ stop }) => stop()));
    expect(await holder()).toBe("");
  });

  test("is given up by who cannot lead, to try again", async () => {
    const one = candidate("a", 2);
    await eventually("it leads", () => one.state.leads === 1);
    expect(one.state.times).toBe(3);
    await one.stop();
  });

  test("ends before it runs out when it cannot be renewed, and begins again afterwards", async () => {
    const one = candidate("a");
    await eventually("it leads", () => one.state.leads === 1);
    await kube.goAway();
    const before = Date.now();
    await eventually("it no longer leads", () => one.state.leads === 0);
    expect(Date.now() - before).toBeLessThan(DURATION_MS);
    await kube.comeBack();
    await eventually("it leads again", () => one.state.leads === 1);
    expect(one.state.times).toBe(2);
    await one.stop();
  });

  test("ends at once when somebody takes it", async () => {
    const one = candidate("a");
    await eventually("it leads", () => one.state.leads === 1);
    const spec = { holderIdentity: "somebody", leaseDurationSeconds: 1 };
    await client.patch(LEASE, { spec });
    await eventually("it no longer leads", () => one.state.leads === 0, DURATION_MS);
    await eventually("it leads again when that has gone", () => one.state.leads === 1);
    await one.stop();
  });
});

describe("several providers", () => {
  const env = (KUBECONFIG: string) => ({
    backend: "kubernetes",
    KUBECONFIG,
    data_dir: join(folder.path, randomUUID()),
    operator_lease_duration: "1s",
  });
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const running = new Set<ServerProcess>();

  const start = async () => {
    const provider = await startServerProcess("provider/main.ts", env(await writeKubeconfig(kube, folder.path)));
    running.add(provider);
    return provider;
  };
  const kill = async (provider: ServerProcess) => {
    running.delete(provider);
    await provider.kill();
  };
  const deploy = (name: string, image: string) => {
    const object = { apiVersion: "openfaas.com/v1", kind: "Function", metadata: { name }, spec: { name, image } };
    return client.apply(`${FUNCTIONS}/${name}`, object, "kubectl", true);
  };
  const isReady = (name: string) =>
    eventually(
      `${name} is ready`,
      async () => {
        const { status, metadata } = await client.get(`${FUNCTIONS}/${name}`);
        const ready = status?.conditions?.find(({ type }: { type: string }) => type === "Ready");
        return ready?.status === "True" && status.observedGeneration === metadata.generation;
      },
      15_000,
    );

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(async () => {
    await Promise.all([...running].map(kill));
    await folder.remove();
  });

  test("serve all, one acts; when that is killed another one does, and a deploy through any of them holds", async () => {
    const first = await start();
    const leader = await eventually("the first acts", holder);
    const second = await start();
    await deploy("a", "fn:1");
    await isReady("a");
    const send = (provider: ServerProcess, method: string, body: unknown) =>
      fetch(`${provider.url}/system/functions`, { method, ...jsonBody(body) });
    expect((await send(second, "POST", { service: "b", image: "fn:1" })).status).toBe(202);
    await isReady("b");
    expect(await holder()).toBe(leader);
    // The deploy was applied by the provider that took it, and once only.
    expect(kube.object("deployments.apps", NAMESPACE, "b").metadata.generation).toBe(1);

    await kill(first);
    await deploy("a", "fn:2");
    const listed = await (await fetch(`${second.url}/system/functions`)).json();
    expect(listed).toHaveLength(2);
    await isReady("a");
    expect(await holder()).not.toBe(leader);
    expect(
      (kube.object("leases.coordination.k8s.io", "openfaas", "faaslane-provider").spec as Fields).leaseTransitions,
    ).toBe(1);

    expect(await second.stop()).toBe(0);
    expect(await holder()).toBe("");
  }, 60_000);

  test("need no operator, and then leave Functions alone", async () => {
    const backend = openBackend(kube);
    try {
      await backend.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE });
      expect((await client.send("GET", `${FUNCTIONS}/fn`)).status).toBe(404);
      expect(await holder()).toBeUndefined();
    } finally {
      await backend.close(0);
    }
  });
});

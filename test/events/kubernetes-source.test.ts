import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { kubernetesSource } from "../../events/sources/kubernetes/kubernetes-source.ts";
import { KubeClient } from "../kube/client.ts";
import { FakeSourceContext, type FakeSourceOptions, runSource } from "../support/events/source-context.ts";
import { eventually } from "../support/eventually.ts";
import { KubeServer } from "../support/kube/server.ts";

const NAMESPACE = "openfaas-fn";
const MAPS = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
const WATCHED = { apiVersion: "v1", kind: "ConfigMap" };

let kube: KubeServer;
let client: KubeClient;
const running: (() => Promise<void>)[] = [];

beforeEach(async () => {
  kube = await KubeServer.open({ without: ["deployments", "replicasets", "endpointslices", "scheduler", "kubelet"] });
  client = new KubeClient(kube);
});
afterEach(async () => {
  for (const stop of running.splice(0)) await stop();
  await kube.close();
});

const map = (name: string, value: string, labels: Record<string, string> = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels },
  data: { value },
});
const create = (name: string, value = "1", labels = {}) => client.create(MAPS, map(name, value, labels));
const update = (name: string, value: string) => client.update(`${MAPS}/${name}`, map(name, value));
const remove = (name: string) => client.send("DELETE", `${MAPS}/${name}`);

async function watch(given: object = {}, options: FakeSourceOptions = {}) {
  const context = new FakeSourceContext({
    namespace: NAMESPACE,
    secrets: { kubeconfig: kube.kubeconfig() },
    ...options,
  });
  const spec = { resources: [WATCHED], kubeconfig: { secret: "kubeconfig" }, ...given };
  const { stop } = runSource(kubernetesSource, spec, context);
  running.push(stop);
  await eventually("it watches", () => context.connections > 0);
  return { context, stop };
}

/** Type's last word and name, of configmaps of ours. */
const told = ({ emitted }: FakeSourceContext) =>
  emitted
    .map(({ event }) => event.attributes)
    .filter(({ name }) => name !== "kube-root-ca.crt")
    .map(({ type, name }) => `${String(type).split(".").at(-1)} ${name}`);
const untilTold = (context: FakeSourceContext, ...expected: string[]) =>
  eventually(`told ${expected}`, () => told(context).length >= expected.length, 15_000).then(() =>
    expect(told(context)).toEqual(expected),
  );

describe("changes of objects", () => {
  test("are told as references, as Knative's source has them", async () => {
    await create("a");
    const { context } = await watch();
    await update("a", "2");
    await create("b");
    await remove("a");
    await untilTold(context, "add a", "update a", "add b", "delete a");
    const [, , third] = context.emitted.filter(({ event }) => event.attributes.name !== "kube-root-ca.crt");
    const uid = (await client.get(`${MAPS}/b`)).metadata.uid;
    expect(third).toMatchObject({
      event: {
        attributes: {
          type: "dev.knative.apiserver.ref.add",
          source: kube.url.replace(/\/$/, ""),
          subject: `${MAPS}/b`,
          apiversion: "v1",
          kind: "ConfigMap",
          name: "b",
          namespace: NAMESPACE,
        },
      },
      once: expect.stringMatching(new RegExp(`^${uid}/\\d+/add$`)),
    });
    expect(JSON.parse(String(third?.event.data))).toEqual({ ...WATCHED, name: "b", namespace: NAMESPACE });
  });

  test("are told as whole objects, of those that labels and filters choose", async () => {
    const { context } = await watch({
      mode: "Resource",
      initial: "skip",
      resources: {
        ...WATCHED,
        selector: {
          matchLabels: { app: "x" },
          matchExpressions: [{ key: "tier", operator: "In", values: ["a", "b"] }],
        },
      },
      filters: [{ not: { suffix: { type: ".delete" } } }],
    });
    await create("no", "1", { app: "y", tier: "a" });
    await create("yes", "1", { app: "x", tier: "a" });
    await remove("yes");
    await create("later", "1", { app: "x", tier: "b" });
    await untilTold(context, "add yes", "add later");
    expect(context.emitted[0]?.event.attributes.type).toBe("dev.knative.apiserver.resource.add");
    expect(JSON.parse(String(context.emitted[0]?.event.data))).toMatchObject({ ...WATCHED, data: { value: "1" } });
  });

  test("of all namespaces and of several kinds are told together", async () => {
    const { context } = await watch({
      initial: "skip",
      resources: [
        { ...WATCHED, namespace: "*" },
        { apiVersion: "v1", kind: "Secret" },
      ],
    });
    await eventually("both watch", () => context.connections === 2);
    await client.create("/api/v1/namespaces/default/configmaps", map("there", "1"));
    await client.create(`/api/v1/namespaces/${NAMESPACE}/secrets`, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s" },
    });
    await eventually("both told", () => told(context).length === 2);
    expect(told(context).sort()).toEqual(["add s", "add there"]);
  });
});

describe("what happens meanwhile is told once", () => {
  test("when a watch is cut, and when the past is forgotten", async () => {
    const { context } = await watch({ initial: "skip" });
    await create("a");
    await create("b");
    await untilTold(context, "add a", "add b");
    kube.watches.cut();
    await create("c");
    await untilTold(context, "add a", "add b", "add c");
    await kube.goAway();
    await kube.comeBack();
    await update("a", "2");
    await remove("b");
    kube.compact();
    await create("d");
    await eventually("all told", () => told(context).length >= 6, 20_000);
    expect(told(context).slice(0, 3)).toEqual(["add a", "add b", "add c"]);
    expect(told(context).slice(3).sort()).toEqual(["add d", "delete b", "update a"]);
  });

  test("when the source was not there, also after the past is forgotten", async () => {
    const { context, stop } = await watch({ initial: "skip" });
    await create("a");
    await untilTold(context, "add a");
    await stop();
    await update("a", "2");
    const again = await watch({ initial: "skip" }, { cursor: context.savedCursor as string });
    await create("b");
    await untilTold(again.context, "update a", "add b");
    await again.stop();
    await update("b", "2");
    kube.compact();
    const third = await watch({ initial: "skip" }, { cursor: again.context.savedCursor as string });
    await create("c");
    await eventually("told", () => told(third.context).length >= 2);
    expect(told(third.context).map((text) => text.split(" ")[1])).toEqual(["b", "c"]);
  });

  test("when it could not be stored", async () => {
    const { context } = await watch({ initial: "skip" });
    context.failing = new Error("full");
    await create("a");
    await eventually("it failed", () => context.failures.length > 0);
    context.failing = undefined;
    await create("b");
    await untilTold(context, "add a", "add b");
  });
});

test.each<[what: string, given: object, options: FakeSourceOptions, problem: RegExp]>([
  ["a kind that is not there", { resources: [{ apiVersion: "v1", kind: "Nothing" }] }, {}, /has no Nothing of v1/],
  ["a group that is not there", { resources: [{ apiVersion: "x.example/v1", kind: "Y" }] }, {}, /status 404/],
  ["a private address that is not allowed", {}, { targets: { private: false, allow: [], deny: [] } }, /not public/],
])("%s is told", async (_what, given, options, problem) => {
  const context = new FakeSourceContext({
    namespace: NAMESPACE,
    secrets: { kubeconfig: kube.kubeconfig() },
    ...options,
  });
  const spec = { resources: [WATCHED], kubeconfig: { secret: "kubeconfig" }, ...given };
  running.push(runSource(kubernetesSource, spec, context).stop);
  await eventually("told", () => context.failures.length > 0);
  const [first] = context.failures as Error[];
  expect(`${first?.message} ${(first?.cause as Error | undefined)?.message}`).toMatch(problem);
});

test.each([
  ["users: [", "is not YAML"],
  ["{}", "names no cluster"],
  [
    JSON.stringify({
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
      clusters: [{ name: "k", cluster: { server: "https://k" } }],
      users: [{ name: "u", user: { exec: { command: "rm" } } }],
    }),
    "exec is beyond what can be used",
  ],
])("a kubeconfig that cannot be used is told without its text: %s", async (kubeconfig, problem) => {
  const context = new FakeSourceContext({ secrets: { kubeconfig } });
  const { ended } = runSource(
    kubernetesSource,
    { resources: [WATCHED], kubeconfig: { secret: "kubeconfig" } },
    context,
  );
  await expect(ended).rejects.toThrow(problem);
});

test("without a cluster around it, a source says what to declare", async () => {
  const { ended } = runSource(kubernetesSource, { resources: [WATCHED] }, new FakeSourceContext());
  await expect(ended).rejects.toThrow("has no service account of a cluster; declare kubeconfig, or server and token");
});

test.each([
  [{}, "resources"],
  [{ resources: [{ apiVersion: "../v1", kind: "Pod" }] }, "must be such as v1 or apps/v1"],
  [{ resources: [{ apiVersion: "v1", kind: "pods/../secrets" }] }, "must be such as Pod"],
  [{ resources: [{ ...WATCHED, namespace: "../x" }] }, "must be a namespace, or * for all"],
  [{ resources: [{ ...WATCHED, selector: { matchLabels: { "a b": "c" } } }] }, "selector"],
  [{ resources: [WATCHED], mode: "Object" }, "mode: must be one of Reference, Resource"],
  [{ resources: [WATCHED], token: { secret: "t" } }, "server: is required with token and ca"],
  [{ resources: [WATCHED], filters: [{ like: {} }] }, "filters"],
])("declared as %j it is refused with %s", (given, message) => {
  const { error } = kubernetesSource.settings.safeParse(given);
  const text = error?.issues
    .map((issue) => `${issue.path.join(".")}: ${issue.message} ${JSON.stringify(issue)}`)
    .join("; ");
  expect(text).toContain(message);
});

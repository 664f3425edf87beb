import { expect, test } from "@jest/globals";
import { DECLARED_KINDS, type DeclaredKind, OBJECT_KINDS } from "../../../contract/events/event-object.ts";
import type { FunctionRef } from "../../../contract/functions.ts";
import type { LogMessage } from "../../../contract/logs.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import { buildCrds } from "../../../provider/backends/kubernetes/resources/crds.ts";
import { FUNCTION_NAMESPACE } from "../../../provider/backends/kubernetes/resources/permissions.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { KubeServer } from "../../support/kube/server.ts";
import type { Fields } from "../../support/kube/types.ts";
import { ProviderAccount } from "./account.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const FUNCTIONS = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/functions`;
const PROFILES = "/apis/openfaas.com/v1/namespaces/openfaas/profiles";

async function logsOf(backend: Backend, name: string): Promise<LogMessage[]> {
  const lines: LogMessage[] = [];
  const query = { name, namespace: NAMESPACE, follow: false };
  for await (const line of backend.logs(query, new AbortController().signal)) lines.push(line);
  return lines;
}

/** A version beside a function, and what is kept about both. */
async function liveAsVersions({ functions, versions }: Backend, ref: FunctionRef): Promise<void> {
  const kept = { last: 1, versions: [], latest: "v1", main: "v1", stable: "v1", history: [] };
  await versions?.put(ref, { ...kept, generation: 1 }, 0);
  await versions?.put(ref, { ...kept, generation: 2 }, 1);
  const unit = { name: `${ref.name}@v2`, namespace: ref.namespace };
  const asked = { service: ref.name, namespace: NAMESPACE, annotations: { "com.faaslane.rollback-window": "1m" } };
  expect(await functions.digestOf?.({ ...asked, image: "127.0.0.1:1/fn:2" })).toBeUndefined();
  await functions.create({ service: unit.name, image: "fn:2", namespace: NAMESPACE });
  await functions.scale(unit, 2);
  await eventually("it is scaled", async () => (await functions.get(unit))?.availableReplicas === 2);
  await functions.remove(unit);
  await versions?.remove(ref);
}

/** All that a provider does for a function, from its secret to its removal. */
async function liveThrough(backend: Backend, name: string): Promise<void> {
  const { functions, secrets } = backend;
  const ref = { name, namespace: NAMESPACE };
  const secret = { name: `${name}-key`, namespace: NAMESPACE };
  const definition = { service: name, image: "fn:1", namespace: NAMESPACE };
  await secrets.create(secret, Buffer.from("1"));
  await secrets.update(secret, Buffer.from("2"));
  expect(await secrets.list(NAMESPACE)).toContainEqual(secret);
  const annotations = { "com.openfaas.profile": "quick" };
  await functions.create({ ...definition, secrets: [secret.name], annotations });
  await eventually("it is up", async () => (await functions.get(ref))?.availableReplicas === 1);
  await functions.update({ ...definition, secrets: [secret.name], annotations, image: "fn:2" });
  await functions.scale(ref, 3);
  await eventually("it is scaled", async () => (await functions.get(ref, true))?.availableReplicas === 3);
  expect(await functions.list(NAMESPACE)).toHaveLength(1);
  await liveAsVersions(backend, ref);
  expect((await logsOf(backend, name)).length).toBeGreaterThan(0);
  await functions.remove(ref);
  expect(await functions.get(ref)).toBeUndefined();
  await secrets.remove(secret);
}

/** A Function that somebody makes without the API, as far as its status and back. */
async function liveAsObject(client: KubeClient, backend: Backend): Promise<void> {
  const metadata = { name: "object", namespace: NAMESPACE };
  const object = { apiVersion: "openfaas.com/v1", kind: "Function", metadata, spec: { name: "object", image: "fn:1" } };
  await client.create(FUNCTIONS, object);
  await eventually("it is up and says so", async () => {
    const { status } = await client.get(`${FUNCTIONS}/object`);
    return status?.conditions?.some(({ type, status }: Answer) => type === "Healthy" && status === "True");
  });
  await client.delete(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/object`);
  await eventually("it is made again", async () => {
    const { items } = await client.get(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments`);
    return items.some((item: Answer) => item.metadata.name === "object");
  });
  await backend.functions.remove({ name: "object", namespace: NAMESPACE });
  await eventually("it is gone", async () => (await client.get(FUNCTIONS)).items.length === 0);
}

/** Objects that declare events, and how they are. */
async function liveAsEvents(client: KubeClient, { eventObjects }: Backend): Promise<void> {
  const leaving = new AbortController();
  for await (const event of eventObjects?.watch(leaving.signal) ?? []) {
    if (event.type === "kinds" && Object.values(event.kinds).every((knowledge) => knowledge === "listed")) break;
  }
  for (const kind of DECLARED_KINDS) {
    const path = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/${kind}s`;
    const metadata = { name: "object", namespace: NAMESPACE };
    const { uid, generation } = (
      await client.create(path, {
        apiVersion: "openfaas.com/v1",
        kind: OBJECT_KINDS[kind],
        metadata,
        spec: SPECS[kind],
      })
    ).metadata;
    const conditions = [{ type: "Ready", status: "True", reason: "Ready", message: "it is" } as const];
    const status = { kind, name: "object", namespace: NAMESPACE, uid, generation, conditions, fields: {} };
    await eventually("it is written", async () =>
      (await eventObjects?.report([status]))?.some(({ outcome }) => outcome === "written"),
    );
    const address = { kind, name: "object", namespace: NAMESPACE };
    const other = { ...address, uid: "another" };
    expect(await eventObjects?.gone([{ ...address, uid }, other])).toEqual([other]);
  }
}

const SPECS: Readonly<Record<DeclaredKind, object>> = {
  broker: {},
  trigger: { subscriber: { function: "object" } },
  source: { type: "cron", schedule: "@hourly" },
  sink: { type: "kafka" },
  flow: { steps: [{ function: "object" }] },
};

/** Asked for in other tests: of stuck pods, of pods with calls, and where nobody collects what is left behind. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  "list events",
  "patch pods",
  "delete services",
  // The API server's own check of an owner reference.
  "update functions/finalizers",
]);

/** What is granted in namespaces of functions and was not asked for. */
function unused({ faults }: KubeServer): string[] {
  const asked = new Set(
    faults.requests.map(({ verb, resource, subresource }) => {
      const [plural = ""] = resource.split(".");
      return `${verb === "apply" ? "patch" : verb} ${subresource === "" ? plural : `${plural}/${subresource}`}`;
    }),
  );
  // An apply of what is not there is to create it.
  for (const resource of ["deployments", "services"]) asked.add(`create ${resource}`);
  const granted = FUNCTION_NAMESPACE.flatMap(({ resource, verbs }) => verbs.map((verb) => `${verb} ${resource}`));
  return granted.filter((permission) => !asked.has(permission) && !ELSEWHERE.has(permission));
}

test.each([
  ["a ClusterRole", true, false],
  ["a ClusterRole, with Function objects,", true, true],
  ["a Role in one namespace", false, false],
  ["a Role in one namespace, with Function objects,", false, true],
])("with %s the provider asks for nothing that it was not granted", async (_kind, clusterRole, hasOperator) => {
  const account = new ProviderAccount({ clusterRole });
  const kube = await KubeServer.open({ account, crds: buildCrds() as unknown as Fields[] });
  const metadata = { name: "quick", namespace: "openfaas" };
  const profile = { apiVersion: "openfaas.com/v1", kind: "Profile", metadata, spec: { runtimeClassName: "quick" } };
  const client = new KubeClient(kube);
  await client.create(PROFILES, profile);
  const operator = { leaseDurationMs: 1_000 };
  const backend = openBackend(kube, { clusterRole, ...(hasOperator && { operator }) });
  try {
    await liveThrough(backend, "fn");
    expect(await backend.namespaces.list()).toEqual([NAMESPACE]);
    expect(await backend.namespaces.get(NAMESPACE)).toMatchObject({ name: NAMESPACE });
    if (clusterRole) {
      const staging = { name: "staging" };
      await backend.namespaces.create(staging);
      await backend.namespaces.update({ ...staging, labels: { a: "b" } });
      await backend.functions.create({ service: "fn", image: "fn:1", namespace: "staging" });
      await backend.functions.remove({ name: "fn", namespace: "staging" });
      await backend.namespaces.remove("staging");
    }
    kube.watches.cut();
    kube.compact();
    await liveThrough(backend, "again");
    if (hasOperator) await liveAsObject(client, backend);
    await liveAsEvents(client, backend);
    account.expectNothingRefused();
    if (clusterRole && hasOperator) expect(unused(kube)).toEqual([]);
  } finally {
    await backend.close(0);
    await kube.close();
  }
});

test("what the provider may not do is told to the client as forbidden, with the reason", async () => {
  const account = new ProviderAccount({ clusterRole: false });
  const [functions, core] = account.grants;
  const rules = (functions?.rules ?? []).filter(({ resource }) => resource !== "services");
  const grants = [{ namespaces: [NAMESPACE], rules }, ...(core ? [core] : [])];
  const kube = await KubeServer.open({ account: { token: account.token, user: account.user, grants } });
  const backend = openBackend(kube, { clusterRole: false });
  try {
    await expect(
      backend.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE }),
    ).rejects.toMatchObject({
      kind: "forbidden",
      message: expect.stringMatching(/^services "fn" is forbidden: User ".+" cannot get resource "services"/),
    });
  } finally {
    await backend.close(0);
    await kube.close();
  }
});

import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Backend, ResolvedDeployment } from "../../../provider/backends/backend.ts";
import { KubeClient } from "../../kube/client.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const PROFILES = "/apis/openfaas.com/v1/namespaces/openfaas/profiles";

let kube: KubeServer;
let client: KubeClient;
let backend: Backend;

beforeAll(async () => {
  kube = await KubeServer.open();
  client = new KubeClient(kube);
  backend = openBackend(kube);
  await backend.secrets.create({ name: "key", namespace: NAMESPACE }, Buffer.from("1"));
  const docker = { type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": btoa('{"auths":{}}') } };
  await client.create(`/api/v1/namespaces/${NAMESPACE}/secrets`, { metadata: { name: "registry" }, ...docker });
  const spread = { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway" };
  await profile("twice", { topologySpreadConstraints: [spread, { ...spread, maxSkew: 2 }] });
  await profile("again", { topologySpreadConstraints: [spread] });
  await profile("mistyped", { tolerations: [{ key: ["spot"] }] });
  await profile("unknown", { affinity: { nodeAffinty: {} } });
});

afterEach(async () => {
  const ref = { name: "fn", namespace: NAMESPACE };
  if (await backend.functions.get(ref)) await backend.functions.remove(ref);
});

afterAll(async () => {
  await backend.close(0);
  await kube.close();
});

async function profile(name: string, spec: object): Promise<void> {
  const metadata = { name, namespace: "openfaas" };
  await client.create(PROFILES, { apiVersion: "openfaas.com/v1", kind: "Profile", metadata, spec });
}

const profiled = (names: string): Partial<ResolvedDeployment> => ({ annotations: { "com.openfaas.profile": names } });
const definition = (more: Partial<ResolvedDeployment>): ResolvedDeployment => ({
  service: "fn",
  image: "fn:1",
  namespace: NAMESPACE,
  ...more,
});

// The API server refuses lists with an item twice, with 500 and no reason.
test.each<[what: string, more: Partial<ResolvedDeployment>]>([
  ["secrets", { secrets: ["key", "key", "registry", "registry"] }],
  ["variables", { envProcess: "a", envVars: { fprocess: "b", a: "1", A: "2" } }],
  ["the port's variable", { envVars: { port: "8080" } }],
  ["constraints", { constraints: ["a=b", "a=b", "a == b"] }],
  ["a folder for files and secrets", { readOnlyRootFilesystem: true, secrets: ["key"] }],
  ["profiles", profiled("twice, twice")],
  ["what profiles ask for", profiled("twice,again")],
])("%s that come twice are sent once", async (_what, more) => {
  await backend.functions.create(definition(more));
  await backend.functions.update(definition({ ...more, image: "fn:2" }));
});

test.each([
  ["mistyped", /tolerations/],
  ["unknown", /nodeAffinty: field not declared in schema/],
])("a profile that is %s is the request's fault, and the client is told where", async (name, message) => {
  const create = backend.functions.create(definition(profiled(name)));
  await expect(create).rejects.toMatchObject({ kind: "invalid", message: expect.stringMatching(message) });
});

test("what belongs to the platform is refused before anything is written", async () => {
  const before = kube.faults.count("apply");
  for (const name of ["OPENFAAS_NAME", "OPENFAAS_NAMESPACE"]) {
    const create = backend.functions.create(definition({ envVars: { [name]: "x" } }));
    await expect(create).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining(name) });
  }
  const other = backend.functions.create(definition({ envVars: { port: "9090" } }));
  await expect(other).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining("envVars.port") });
  expect(kube.faults.count("apply")).toBe(before);
});

test("a name that is none leads to no other object", async () => {
  const marked = { name: "marked", annotations: { openfaas: "1" } };
  await client.create(`/api/v1/namespaces/${NAMESPACE}/secrets`, { metadata: marked, data: {} });
  const name = `${NAMESPACE}/secrets/marked`;
  expect(await backend.namespaces.get(name)).toBeUndefined();
  await expect(backend.namespaces.remove(name)).rejects.toMatchObject({ kind: "notFound" });
  expect((await client.get(`/api/v1/namespaces/${NAMESPACE}/secrets/marked`)).metadata.name).toBe("marked");
});

import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { FunctionVersions } from "../../../contract/versions/function-versions.ts";
import type { Backend, VersionStore } from "../../../provider/backends/backend.ts";
import { MAX_VERSIONS_BYTES, versionsMapName } from "../../../provider/backends/kubernetes/resources/versions-map.ts";
import { CONFIG_MAPS, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { ProviderAccount } from "./account.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const account = new ProviderAccount();
let kube: KubeServer;
let client: KubeClient;
let backend: Backend;
let other: Backend;

beforeEach(async () => {
  kube = await KubeServer.open({ account });
  client = new KubeClient(kube);
  backend = openBackend(kube);
  other = openBackend(kube);
  await backend.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE });
});

afterEach(async () => {
  await Promise.all([backend.close(0), other.close(0)]);
  await kube.close();
  account.expectNothingRefused();
});

const FN = { name: "fn", namespace: NAMESPACE };
const PATH = `${CONFIG_MAPS}/${versionsMapName("fn")}`;
const storeOf = ({ versions }: Backend) => versions as VersionStore;
const versions = (generation: number, more: Partial<FunctionVersions> = {}): FunctionVersions => ({
  generation,
  last: 1,
  versions: [{ version: "v1", content: { image: "fn:1", envVars: { LEVEL: "1" } }, createdAt: "2026-01-01T00:00:00Z" }],
  latest: "v1",
  main: "v1",
  stable: "v1",
  history: [],
  ...more,
});
/** `bytes` that do not pack. */
const noise = (bytes: number): string => {
  let seed = 1;
  let text = "";
  for (; text.length < bytes; seed = (seed * 48_271) % 2_147_483_647) text += seed.toString(36);
  return text;
};

test("what is written is read, by another provider too, and goes with the function", async () => {
  const store = storeOf(backend);
  expect(await store.get(FN)).toBeUndefined();
  await store.put(FN, versions(1), 0);
  expect(await store.get(FN)).toEqual(versions(1));
  await eventually("the other sees it", async () => (await storeOf(other).get(FN))?.generation === 1);
  const map = await client.get(PATH);
  expect(map.metadata.labels).toMatchObject({ "com.faaslane.function": "fn" });
  const { uid } = (await client.get(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/fn`)).metadata;
  expect(map.metadata.ownerReferences).toEqual([{ apiVersion: "apps/v1", kind: "Deployment", name: "fn", uid }]);
  expect(JSON.parse(map.data["versions.json"])).toEqual(versions(1));
  await store.remove(FN);
  expect(await store.get(FN)).toBeUndefined();
  await store.remove(FN);
  await eventually("the other knows", async () => (await storeOf(other).get(FN)) === undefined);
  await store.put(FN, versions(1), 0);
  expect(await store.get(FN)).toEqual(versions(1));
});

test("of two who write at the same generation one has a conflict, and reads what the other wrote", async () => {
  await storeOf(backend).put(FN, versions(1), 0);
  await eventually("both see it", async () => (await storeOf(other).get(FN))?.generation === 1);
  const writes = [backend, other, backend, other].map(async (each, at) => {
    await storeOf(each).put(FN, versions(2, { latest: `v${at + 1}` }), 1);
    return at;
  });
  const done = await Promise.allSettled(writes);
  const winners = done.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  expect(winners).toHaveLength(1);
  for (const one of done) if (one.status === "rejected") expect(one.reason).toMatchObject({ kind: "conflict" });
  await expect(storeOf(backend).put(FN, versions(9), 1)).rejects.toMatchObject({ kind: "conflict" });
  // At once, without waiting for a watch: who tries again would try the same.
  await expect(storeOf(other).put(FN, versions(9), 0)).rejects.toMatchObject({ kind: "conflict" });
  for (const each of [backend, other])
    expect(await storeOf(each).get(FN)).toMatchObject({ generation: 2, latest: `v${(winners[0] as number) + 1}` });
});

test("who follows gets all that is there, each change once, and those of others", async () => {
  await storeOf(backend).put(FN, versions(1), 0);
  await eventually("the other sees it", async () => (await storeOf(other).get(FN))?.generation === 1);
  const told: (number | undefined)[] = [];
  const end = storeOf(other).follow(({ name }, document) => {
    if (name === "fn") told.push(document?.generation);
  });
  await storeOf(backend).put(FN, versions(2), 1);
  await eventually("a change is told", async () => told.length === 2);
  kube.watches.cut();
  kube.compact();
  await storeOf(other).put(FN, versions(3), 2);
  // Namespaces come and go, of which nothing of this follows.
  await other.namespaces.create({ name: "staging" });
  await storeOf(backend).remove(FN);
  await eventually("its end is told", async () => told.at(-1) === undefined);
  expect(told).toEqual([1, 2, 3, undefined]);
  end();
  await storeOf(backend).put(FN, versions(1), 0);
  await eventually("the other sees it", async () => (await storeOf(other).get(FN))?.generation === 1);
  expect(told).toHaveLength(4);
});

test("what is long is packed, and what does not fit is refused with how long it is", async () => {
  const long = (level: string) =>
    versions(1, {
      versions: [{ version: "v1", content: { image: "fn:1", envVars: { LEVEL: level } }, createdAt: "" }],
    });
  await storeOf(backend).put(FN, long("x".repeat(2_000_000)), 0);
  expect((await storeOf(backend).get(FN))?.versions[0]?.content.envVars?.LEVEL).toHaveLength(2_000_000);
  await eventually("the other can read it", async () => (await storeOf(other).get(FN)) !== undefined);
  const tooLong = { ...long(noise(2_000_000)), generation: 2 };
  await expect(storeOf(backend).put(FN, tooLong, 1)).rejects.toMatchObject({
    kind: "noSpace",
    message: expect.stringMatching(
      new RegExp(`^1 versions of fn\\.openfaas-fn take \\d{7} bytes, more than the ${MAX_VERSIONS_BYTES} `),
    ),
  });
});

test("what somebody has broken is an error that names it, and comes back when it is mended", async () => {
  const store = storeOf(backend);
  await store.put(FN, versions(1), 0);
  const told: unknown[] = [];
  store.follow((_ref, document) => told.push(document));
  await client.patch(PATH, { data: { "versions.json": '{"generation": "many"}' } });
  await eventually("it is seen", () =>
    store.get(FN).then(
      () => false,
      () => true,
    ),
  );
  const broken = { kind: "conflict", message: expect.stringContaining(`openfaas-fn/${versionsMapName("fn")}`) };
  await expect(store.get(FN)).rejects.toMatchObject(broken);
  await expect(store.put(FN, versions(2), 1)).rejects.toMatchObject(broken);
  expect(told).toEqual([versions(1)]);
  await client.delete(PATH);
  await eventually("nothing is kept", () => store.get(FN).then((found) => found === undefined));
  await store.put(FN, versions(1), 0);
});

test("ConfigMaps that only look like it are nobody's versions", async () => {
  const labels = { "com.faaslane.function": "fn" };
  await client.create(CONFIG_MAPS, { metadata: { name: "mine", labels }, data: { "versions.json": "{}" } });
  await storeOf(backend).put(FN, versions(1), 0);
  expect(await storeOf(backend).get(FN)).toEqual(versions(1));
  await expect(storeOf(backend).put({ ...FN, name: "../x" }, versions(1), 0)).rejects.toMatchObject({
    kind: "invalid",
  });
  await expect(storeOf(backend).get({ name: "fn", namespace: "elsewhere" })).rejects.toMatchObject({ kind: "invalid" });
});

test("an account of before there were versions serves functions, and says what it may not", async () => {
  const grants = account.grants.map(({ rules, ...grant }) => ({
    ...grant,
    rules: rules.filter(({ resource }) => resource !== "configmaps"),
  }));
  const old = await KubeServer.open({ account: { token: account.token, user: account.user, grants } });
  const limited = openBackend(old);
  try {
    await limited.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE });
    expect(await storeOf(limited).get(FN)).toBeUndefined();
    await expect(storeOf(limited).put(FN, versions(1), 0)).rejects.toMatchObject({
      kind: "forbidden",
      message: expect.stringContaining("configmaps"),
    });
  } finally {
    await limited.close(0);
    await old.close();
  }
});

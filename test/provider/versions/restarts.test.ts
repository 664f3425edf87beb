import { afterEach, expect, test } from "@jest/globals";
import { FaasError } from "../../../contract/errors.ts";
import type { FunctionVersions } from "../../../contract/versions/function-versions.ts";
import { deployment, ref, until } from "../local/support.ts";
import { openVersioned, rollout, saying, type VersionedFixture } from "./support.ts";

let on: VersionedFixture;
afterEach(async () => await on?.close(), 30_000);

const CANARY = rollout("canary", { "com.faaslane.rollout.steps": "10@1h,100" });
const STORE_FAILS = new Error("the provider dies here");

/** Everything after this is what a crash would have kept from happening. */
function dieBeforeWriting(): void {
  const store = on.local.backend.versions as NonNullable<typeof on.local.backend.versions>;
  store.put = async () => {
    throw STORE_FAILS;
  };
}

async function backendNames(): Promise<string[]> {
  return (await on.local.backend.functions.list("openfaas-fn")).map(({ name }) => name);
}

test("a function whose version was not kept any more is at its first, and goes on from there", async () => {
  on = await openVersioned();
  dieBeforeWriting();
  await on.deploy("late");
  await on.restart();
  expect(await on.row("late")).toMatchObject({ version: "v1", trafficGeneration: 0 });
  await on.deploy("late", { image: "app:2" });
  expect(await on.kept("late")).toMatchObject({ latest: "v2", main: "v2", previous: "v1", generation: 1 });
  await until("the new one serves", async () => (await on.say("late")).text === "two");
}, 60_000);

test("an update in place whose version was not kept any more is found and kept", async () => {
  on = await openVersioned();
  await on.deploy("moved");
  await on.say("moved");
  dieBeforeWriting();
  await expect(on.deploy("moved", { image: "app:2" })).rejects.toBe(STORE_FAILS);
  await on.restart();
  await until("it is known", async () => (await on.kept("moved")).main === "v2");
  expect(await on.kept("moved")).toMatchObject({ latest: "v2", stable: "v2", previous: "v1" });
  expect(await on.say("moved")).toMatchObject({ text: "two" });
  expect((await on.control.rollback(ref("moved"), {}, undefined)).to).toBe("v1");
}, 60_000);

test("a version beside the other that was not kept any more goes", async () => {
  on = await openVersioned();
  await on.deploy("beside", CANARY);
  await on.say("beside");
  dieBeforeWriting();
  await expect(on.deploy("beside", { ...CANARY, image: "app:2" })).rejects.toBe(STORE_FAILS);
  expect(await backendNames()).toEqual(["beside", "beside@v2"]);
  await on.restart();
  await until("it is gone", async () => (await backendNames()).length === 1);
  expect(await on.say("beside")).toMatchObject({ text: "one" });
  await on.deploy("beside", { ...CANARY, image: "app:2" });
  expect(await on.say("beside@v2")).toMatchObject({ text: "two" });
}, 60_000);

test("a deploy whose write meets another provider's is decided anew, and not refused", async () => {
  on = await openVersioned();
  await on.deploy("met");
  const store = on.local.backend.versions as NonNullable<typeof on.local.backend.versions>;
  const put = store.put.bind(store);
  let met = 0;
  store.put = async (...given) => {
    met += 1;
    if (met === 1) throw new FaasError("conflict", "another one was faster");
    await put(...given);
  };
  await on.deploy("met", { image: "app:2" });
  expect(met).toBe(2);
  expect(await on.kept("met")).toMatchObject({ latest: "v2", last: 2 });
}, 30_000);

test("a function that is gone takes its versions and what is kept of them along", async () => {
  on = await openVersioned();
  await on.deploy("gone", CANARY);
  await on.deploy("gone", { ...CANARY, image: "app:2" });
  await on.say("gone@v2");
  await on.local.backend.functions.remove(ref("gone"));
  await on.restart();
  await until("all is gone", async () => (await backendNames()).length === 0);
  await until("nothing is kept", async () => (await on.local.backend.versions?.get(ref("gone"))) === undefined);
  expect([...(await on.rows()).keys()]).toEqual([]);
}, 60_000);

test("a rollout and a split go on as they were", async () => {
  on = await openVersioned();
  await on.deploy("on", CANARY);
  await on.deploy("on", { ...CANARY, image: "app:2" });
  const { generation, rollout: state } = await on.control.rollout(ref("on"));
  const next = { ...(state as NonNullable<FunctionVersions["rollout"]>), phase: "step" as const };
  await on.control.drive(ref("on"), { generation, rollout: next });
  const before = await on.row("on");
  await on.restart();
  const after = await on.row("on");
  expect([after.version, after.traffic, after.rollout]).toEqual([before.version, before.traffic, before.rollout]);
  expect(await on.say("on")).toMatchObject({ text: "one" });
  expect(await on.say("on@v2")).toMatchObject({ text: "two" });
}, 60_000);

test("settling goes on where it was broken off", async () => {
  on = await openVersioned();
  const settings = { ...CANARY, annotations: { ...CANARY.annotations, "com.faaslane.rollback-window": "0s" } };
  await on.deploy("half", settings);
  await on.say("half");
  await on.deploy("half", { ...settings, image: "app:2" });
  await on.say("half@v2");
  const store = on.local.backend.versions as NonNullable<typeof on.local.backend.versions>;
  const put = store.put.bind(store);
  // All but the last write, which says that it is over.
  store.put = async (of, versions, generation) => {
    if (versions.main !== "v1") throw STORE_FAILS;
    await put(of, versions, generation);
  };
  await on.control.act(ref("half"), { action: "promote" }, undefined);
  await until("its own replicas run it", async () => {
    const { image, digest } = (await on.local.backend.functions.deployed?.(ref("half"))) ?? {};
    return image === "app:2" && digest !== undefined;
  });
  expect((await on.kept("half")).main).toBe("v1");
  expect(await on.say("half@v2")).toMatchObject({ text: "two" });
  await on.restart();
  await until("it has settled", async () => (await on.kept("half")).main === "v2", 30_000);
  await until("what ran beside it is gone", async () => (await backendNames()).length === 1, 30_000);
  expect(await on.say("half")).toMatchObject({ text: "two", name: "half" });
}, 60_000);

test("a rollback while it settles has the former version back, in replicas that run it", async () => {
  on = await openVersioned();
  const settings = { ...CANARY, annotations: { ...CANARY.annotations, "com.faaslane.rollback-window": "0s" } };
  await on.deploy("turned", settings);
  await on.say("turned");
  await on.deploy("turned", { ...settings, image: "app:2" });
  await on.say("turned@v2");
  const store = on.local.backend.versions as NonNullable<typeof on.local.backend.versions>;
  const put = store.put.bind(store);
  store.put = async (of, versions, generation) => {
    if (versions.main !== "v1") throw STORE_FAILS;
    await put(of, versions, generation);
  };
  await on.control.act(ref("turned"), { action: "promote" }, undefined);
  const isOnItsWay = async () => (await on.local.backend.functions.deployed?.(ref("turned")))?.image === "app:2";
  await until("its own replicas are on their way", isOnItsWay);
  await until("and there", async () => {
    const { endpoints } = await on.row("turned");
    return endpoints.length === 1 && endpoints[0]?.state === "ready" && endpoints[0].version === "v2";
  });
  expect(await on.control.rollback(ref("turned"), {}, undefined)).toMatchObject({ to: "v1", warm: false });
  // Before any other deploy can come to its help.
  expect(await isOnItsWay()).toBe(false);
  expect(await on.say("turned")).toMatchObject({ text: "one" });
  expect(await on.kept("turned")).toMatchObject({ latest: "v1", main: "v1", stable: "v1" });
}, 60_000);

test("a rollback in place runs the former image by its digest, whatever its name means by now", async () => {
  on = await openVersioned();
  await on.local.addImage("moving:1", saying("before"));
  await on.deploy("back", { image: "moving:1" });
  await on.local.addImage("moving:1", saying("after"));
  await on.deploy("back", { image: "moving:1" });
  await until("the new one serves", async () => (await on.say("back")).text === "after", 30_000);
  await on.backend.images?.prune({ all: true });
  const answer = await on.control.rollback(ref("back"), { reason: "wrong" }, "eve");
  expect(answer).toMatchObject({ from: "v2", to: "v1", warm: false });
  expect(answer.warnings.join("\n")).toMatch(/next deploy/);
  await until("the former one serves", async () => (await on.say("back")).text === "before", 30_000);
  expect(await on.kept("back")).toMatchObject({ latest: "v1", main: "v1", stable: "v1", previous: "v2" });
  await on.backend.functions.scale(ref("back"), 0);
  await on.restart();
  await on.backend.functions.scale(ref("back"), 1);
  expect(await on.say("back")).toMatchObject({ text: "before" });
}, 60_000);

test("a secret counts as used by a version beside the function, whose value it sees change", async () => {
  on = await openVersioned();
  const secret = { name: "key", namespace: "openfaas-fn" };
  await on.backend.secrets.create(secret, Buffer.from("old"));
  await on.deploy("keyed", CANARY);
  await on.deploy("keyed", { ...CANARY, secrets: ["key"] });
  await on.say("keyed@v2");
  const refused = on.backend.secrets.remove(secret);
  await expect(refused).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining("keyed") });
  await on.backend.secrets.update(secret, Buffer.from("new"));
  await on.deploy("keyed", { ...CANARY, secrets: ["key"] });
  expect((await on.kept("keyed")).last).toBe(2);
  const { rollout: state } = await on.control.rollout(ref("keyed"));
  expect(state).toMatchObject({ to: "v2", id: 1 });
}, 60_000);

test("what is deployed wrongly beside a function is refused, and changes nothing", async () => {
  on = await openVersioned();
  await on.deploy("firm", CANARY);
  const before = await on.kept("firm");
  for (const wrong of [{ image: "nobody:1" }, { secrets: ["none"] }, { limits: { memory: "much" } }]) {
    await expect(on.deploy("firm", { ...CANARY, ...wrong })).rejects.toMatchObject({ kind: "invalid" });
  }
  expect(await on.kept("firm")).toEqual(before);
  await expect(on.backend.functions.create(deployment("firm", "app:2"))).rejects.toMatchObject({ kind: "conflict" });
  expect(await on.kept("firm")).toEqual(before);
}, 30_000);

test("settings that are no version's take effect at once, and end no replica of a version", async () => {
  on = await openVersioned();
  await on.deploy("tuned", CANARY);
  await on.deploy("tuned", { ...CANARY, image: "app:2" });
  const pids = [(await on.say("tuned")).pid, (await on.say("tuned@v2")).pid];
  await on.deploy("tuned", { ...CANARY, image: "app:2", labels: { "com.openfaas.scale.max": "9" } });
  for (const name of ["tuned", "tuned@v2"]) {
    expect((await on.row(name)).labels["com.openfaas.scale.max"]).toBe("9");
  }
  expect([(await on.say("tuned")).pid, (await on.say("tuned@v2")).pid]).toEqual(pids);
  expect((await on.kept("tuned")).last).toBe(2);
}, 60_000);

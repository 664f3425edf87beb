import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { readyAddresses, ref, until } from "../local/support.ts";
import { openVersioned, rollout, saying, type VersionedFixture } from "./support.ts";

let on: VersionedFixture;
beforeAll(async () => {
  on = await openVersioned();
}, 30_000);
afterAll(async () => await on?.close(), 30_000);

const HALF = 5_000;
const WHOLE = 10_000;
const CANARY = rollout("canary", { "com.faaslane.rollout.steps": "10@1h,100" });

/** A function whose second version is on its way. */
async function canary(name: string): Promise<void> {
  await on.deploy(name, CANARY);
  await on.say(name);
  await on.deploy(name, { ...CANARY, image: "app:2" });
  await on.say(`${name}@v2`);
}

/** What the driver of rollouts would write. */
async function drive(name: string, phase: "step" | "done", step: number, generation?: number) {
  const listed = await on.control.rollout(ref(name));
  const state = listed.rollout as NonNullable<typeof listed.rollout>;
  return await on.control.drive(ref(name), {
    generation: generation ?? listed.generation,
    rollout: { ...state, phase, step, reason: "it is well" },
  });
}

describe("a rollout", () => {
  test("gives shares by its step, and all in the end without a replica that starts or ends", async () => {
    await canary("promoted");
    const [one, two] = [await on.say("promoted"), await on.say("promoted@v2")];
    await drive("promoted", "step", 0);
    expect((await on.row("promoted")).traffic).toEqual([
      { version: "v1", share: 9_000 },
      { version: "v2", share: 1_000 },
    ]);
    await drive("promoted", "done", 1);
    const row = await on.row("promoted");
    expect(row.traffic).toEqual([{ version: "v2", share: WHOLE }]);
    expect(row.rollout).toBeUndefined();
    // The former one is kept warm.
    expect(row.labels["com.openfaas.scale.zero"]).toBe("false");
    expect((await on.say("promoted")).pid).toBe(one.pid);
    expect((await on.say("promoted@v2")).pid).toBe(two.pid);
    expect(await on.kept("promoted")).toMatchObject({ latest: "v2", stable: "v2", previous: "v1", main: "v1" });
  }, 60_000);

  test("is taken on by nobody who has read something stale, nor past its end", async () => {
    await expect(drive("promoted", "step", 0)).rejects.toMatchObject({ kind: "conflict" });
    await canary("stale");
    const { generation } = await on.control.rollout(ref("stale"));
    await drive("stale", "step", 0);
    await expect(drive("stale", "done", 1, generation)).rejects.toMatchObject({ kind: "conflict" });
    await expect(drive("stale", "step", 2)).rejects.toMatchObject({ kind: "invalid" });
    const order = (action: "approve" | "pause" | "resume", step?: number) =>
      on.control.act(ref("stale"), { action, ...(step !== undefined && { step }) }, undefined);
    await expect(order("approve", 0)).rejects.toMatchObject({ kind: "conflict" });
    await order("pause");
    await expect(order("approve", 1)).rejects.toMatchObject({
      kind: "conflict",
      message: expect.stringContaining("step 0"),
    });
    const put = on.control.setTraffic(ref("stale"), { targets: [] }, undefined);
    await expect(put).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining("v2 is under way") });
    const { rollout: approved } = await order("approve", 0);
    expect(approved).toMatchObject({ phase: "step", step: 1 });
  }, 60_000);

  test("done is rolled back to the warm version at once", async () => {
    const { pid } = await on.say("promoted");
    const answer = await on.control.rollback(ref("promoted"), { reason: "the cart is empty" }, "eve");
    expect(answer).toMatchObject({ from: "v2", to: "v1", warm: true });
    const row = await on.row("promoted");
    expect(row).toMatchObject({ version: "v1" });
    expect(row.traffic).toBeUndefined();
    expect((await on.say("promoted")).pid).toBe(pid);
    const { history } = await on.kept("promoted");
    expect(history.at(-1)).toMatchObject({ traffic: "v1=100", reason: "the cart is empty", by: "eve" });
    await expect(on.control.rollback(ref("promoted"), { to: "v1" }, undefined)).rejects.toMatchObject({
      kind: "conflict",
    });
    const unknown = on.control.rollback(ref("promoted"), { to: "v7" }, undefined);
    await expect(unknown).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining("v7") });
  }, 60_000);

  test("under way is aborted by a rollback", async () => {
    await canary("hasty");
    await drive("hasty", "step", 0);
    expect(await on.control.rollback(ref("hasty"), {}, undefined)).toMatchObject({ from: "v2", to: "v1", warm: true });
    expect((await on.control.rollout(ref("hasty"))).rollout).toMatchObject({ phase: "aborted", reason: "rolled back" });
  }, 60_000);

  test("over, and its window too, leaves one version under the function's own name", async () => {
    const settings = { ...CANARY, annotations: { ...CANARY.annotations, "com.faaslane.rollback-window": "10m" } };
    await on.deploy("settled", settings);
    await on.say("settled");
    await on.deploy("settled", { ...settings, image: "app:2" });
    await on.say("settled@v2");
    await drive("settled", "done", 1);
    expect((await on.row("settled")).version).toBe("v1");
    on.skewMs += 11 * 60_000;
    try {
      // Whatever happens next: time alone is looked after by a timer of the real clock.
      await on.deploy("settled", { ...settings, image: "app:2" });
      await until("it has settled", async () => (await on.row("settled")).version === "v2", 30_000);
      expect(await on.say("settled")).toMatchObject({ text: "two", name: "settled" });
      expect((await on.row("settled")).traffic).toBeUndefined();
      await until("what ran beside it is gone", async () => {
        const names = (await on.local.backend.functions.list("openfaas-fn")).map(({ name }) => name);
        return names.every((name) => !name.startsWith("settled@"));
      });
      expect((await on.kept("settled")).versions.map(({ version }) => version)).toEqual(["v1", "v2"]);
    } finally {
      on.skewMs = 0;
    }
  }, 60_000);
});

describe("traffic", () => {
  test("is split between versions, each with replicas by then", async () => {
    await on.deploy("split", { envVars: { LEVEL: "1" } });
    await on.deploy("split", { envVars: { LEVEL: "2" } });
    await until("the new one serves", async () => (await readyAddresses(on.backend, "split")).length === 1);
    const { generation } = await on.control.traffic(ref("split"));
    const targets = [
      { version: "v1", share: HALF },
      { version: "latest", share: HALF },
      { version: "v1", share: 0, tag: "old" },
    ];
    const put = await on.control.setTraffic(ref("split"), { generation: generation as number, targets }, "eve");
    expect(put.targets).toEqual(targets);
    expect((await on.row("split@v1")).replicas).toBe(1);
    expect(await on.say("split@v1")).toMatchObject({ level: "1", name: "split" });
    expect((await on.row("split")).traffic).toEqual([
      { version: "v1", share: HALF },
      { version: "v2", share: HALF },
      { version: "v1", share: 0, tag: "old" },
    ]);
    const stale = on.control.setTraffic(ref("split"), { generation: generation as number, targets }, "eve");
    await expect(stale).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining("stale") });
  }, 60_000);

  test("makes later deploys come up beside it, and moves `latest` once they serve", async () => {
    await on.deploy("split", { envVars: { LEVEL: "3" } });
    const row = await on.row("split");
    expect(row).toMatchObject({ version: "v2", rollout: { from: "v2", to: "v3", settings: { strategy: "instant" } } });
    await drive("split", "done", 0);
    expect((await on.row("split")).traffic).toEqual([
      { version: "v1", share: HALF },
      { version: "v3", share: HALF },
      { version: "v1", share: 0, tag: "old" },
    ]);
  }, 60_000);

  test("is listed with its versions, their differences and its history", async () => {
    const listed = await on.control.list(ref("split"), "v1..v3");
    expect(listed.versions.map(({ version, share, tags }) => [version, share, tags])).toEqual([
      ["v3", HALF, []],
      ["v2", 0, []],
      ["v1", HALF, ["old"]],
    ]);
    expect(listed.diff).toEqual([{ field: "envVars.LEVEL", from: "1", to: "3" }]);
    expect(listed.versions[1]?.warmUntil).toBeGreaterThan(Date.now());
    expect(listed.history.at(-1)?.traffic).toBe("v1=50,v3=50,v1=0@old");
  });

  test("keeps a version from being removed, or rolled over", async () => {
    await expect(on.control.remove(ref("split"), "v1")).rejects.toMatchObject({ kind: "conflict" });
    await expect(on.control.remove(ref("split"), "v9")).rejects.toMatchObject({ kind: "notFound" });
    const refused = on.deploy("split", { ...CANARY, envVars: { LEVEL: "4" } });
    await expect(refused).rejects.toMatchObject({
      kind: "conflict",
      message: expect.stringContaining("traffic is split"),
    });
    expect((await on.kept("split")).last).toBe(3);
  });

  test("keeps a version that accepted calls may want, for as long as they may", async () => {
    const settings = { annotations: { "com.faaslane.version-keep": "0" } };
    for (const level of ["1", "2", "3"]) await on.deploy("wanted", { ...settings, envVars: { LEVEL: level } });
    const names = async () => (await on.kept("wanted")).versions.map(({ version }) => version);
    expect(await names()).toEqual(["v2", "v3"]);
    await on.control.hold(ref("wanted"), "v2", Date.now() + 60_000);
    for (const level of ["4", "5"]) await on.deploy("wanted", { ...settings, envVars: { LEVEL: level } });
    expect(await names()).toEqual(["v2", "v4", "v5"]);
    const removed = on.control.remove(ref("wanted"), "v2");
    await expect(removed).rejects.toMatchObject({
      kind: "conflict",
      message: expect.stringContaining("accepted calls"),
    });
    const gone = on.control.hold(ref("wanted"), "v3", Date.now() + 60_000);
    await expect(gone).rejects.toMatchObject({ kind: "notFound", code: "unknown_version" });
    on.skewMs += 61_000;
    await on.deploy("wanted", { ...settings, envVars: { LEVEL: "6" } });
    on.skewMs = 0;
    expect(await names()).toEqual(["v5", "v6"]);
  }, 30_000);

  test.each([
    [[{ version: "v1", share: 9_999 }], "99.99"],
    [[{ version: "v8", share: WHOLE }], "v8"],
    [[{ version: "newest", share: WHOLE }], "newest"],
    [[{ version: "v1", share: WHOLE, tag: "Bad" }], "Bad"],
  ])("is refused: %j", async (targets, why) => {
    const put = on.control.setTraffic(ref("split"), { targets }, undefined);
    await expect(put).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining(why) });
  });

  test("by annotation does not go with a canary, and tags do", async () => {
    const annotations = (traffic: string) => ({
      annotations: { ...CANARY.annotations, "com.faaslane.traffic": traffic },
    });
    await on.deploy("annotated", annotations("latest=100,v1=0@first"));
    const refused = on.deploy("annotated", annotations("latest=90,v1=10"));
    await expect(refused).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining("canary") });
    expect((await on.row("annotated")).traffic).toEqual([
      { version: "v1", share: WHOLE },
      { version: "v1", share: 0, tag: "first" },
    ]);
    await on.deploy("annotated", CANARY);
    expect((await on.row("annotated")).traffic).toBeUndefined();
  }, 30_000);
});

describe("a version with a tag and no share", () => {
  test("sleeps, wakes as it was deployed although its image's name has moved, and sleeps again", async () => {
    await on.local.addImage("moving:1", saying("before"));
    await on.deploy("tagged", { image: "moving:1" });
    await on.say("tagged");
    await on.local.addImage("moving:1", saying("after"));
    await on.deploy("tagged", { image: "moving:1" });
    const targets = [
      { version: "latest", share: WHOLE },
      { version: "v1", share: 0, tag: "old" },
    ];
    await on.control.setTraffic(ref("tagged"), { targets }, undefined);
    const row = await on.row("tagged@v1");
    expect(row).toMatchObject({ replicas: 0, version: "v1", endpoints: [] });
    // Nobody needs the name that it was built under.
    await on.backend.images?.prune({ all: true });
    await on.backend.functions.scale(ref("tagged@v1"), 1);
    expect(await on.say("tagged@v1")).toMatchObject({ text: "before", name: "tagged" });
    expect((await on.row("tagged@v1")).labels).toMatchObject({
      "com.openfaas.scale.min": "0",
      "com.openfaas.scale.zero": "true",
    });
    await until("the newest serves", async () => (await on.say("tagged")).text === "after", 30_000);
    await on.backend.functions.scale(ref("tagged@v1"), 0);
    await until("it sleeps", async () => (await on.row("tagged@v1")).endpoints.length === 0, 30_000);
  }, 60_000);

  test("is woken by its name only where there is such a version", async () => {
    await expect(on.backend.functions.scale(ref("tagged@v9"), 1)).rejects.toMatchObject({ kind: "notFound" });
    await expect(on.backend.functions.scale(ref("nobody@v1"), 1)).rejects.toMatchObject({ kind: "notFound" });
    await expect(on.backend.functions.remove(ref("tagged@v1"))).rejects.toMatchObject({ kind: "notFound" });
    await expect(on.deploy("tagged@v3")).rejects.toMatchObject({ kind: "invalid" });
  });
});

test("rolled back detached, a function keeps its calls through deploys until one is promoted", async () => {
  const source = { labels: { "com.faaslane.source": "https://git.example.com/shop" } };
  await on.deploy("detached", { ...CANARY, ...source });
  await on.say("detached");
  await on.deploy("detached", { ...CANARY, ...source, image: "app:2" });
  await on.say("detached@v2");
  const warned = await on.control.rollback(ref("detached"), {}, undefined);
  expect(warned.warnings.join()).toContain("correct https://git.example.com/shop, too; or roll back detached");
  await on.control.act(ref("detached"), { action: "promote" }, undefined);
  await drive("detached", "done", 0);
  const { warnings } = await on.control.rollback(ref("detached"), { detach: true }, undefined);
  expect(warnings.join()).toContain("move no calls");

  for (const strategy of ["canary", "instant"]) {
    await on.deploy("detached", { ...rollout(strategy), ...source, image: "app:2", envVars: { STRATEGY: strategy } });
    const listed = await on.control.list(ref("detached"));
    expect(listed.traffic).toEqual([{ version: "v1", share: WHOLE }]);
    expect((await on.kept("detached")).rollout?.phase).not.toBe("warming");
  }
  await on.control.act(ref("detached"), { action: "promote" }, undefined);
  expect((await on.kept("detached")).rollout).toMatchObject({ phase: "warming", to: "v4" });
  await drive("detached", "done", 0);
  await on.deploy("detached", {
    ...rollout("canary"),
    ...source,
    image: "app:1",
    envVars: { STRATEGY: "canary again" },
  });
  expect((await on.kept("detached")).rollout).toMatchObject({ phase: "warming", to: "v5" });
}, 60_000);

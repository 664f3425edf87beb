import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { ref, until } from "../local/support.ts";
import { openVersioned, rollout, saying, type VersionedFixture } from "./support.ts";

let on: VersionedFixture;
beforeAll(async () => {
  on = await openVersioned();
}, 30_000);
afterAll(async () => await on?.close(), 30_000);

const CANARY = rollout("canary", { "com.faaslane.rollout.steps": "10@1h,100" });

describe("an ordinary function", () => {
  test("has one version for the same content, and one more for another", async () => {
    await on.deploy("plain");
    await on.deploy("plain");
    expect((await on.kept("plain")).versions.map(({ version }) => version)).toEqual(["v1"]);
    const before = await on.say("plain");
    await on.deploy("plain", { labels: { "com.openfaas.scale.max": "7" } });
    expect((await on.kept("plain")).last).toBe(1);
    expect((await on.row("plain")).labels["com.openfaas.scale.max"]).toBe("7");
    await on.deploy("plain", { envVars: { LEVEL: "high" } });
    const kept = await on.kept("plain");
    expect([kept.latest, kept.main, kept.stable, kept.previous]).toEqual(["v2", "v2", "v2", "v1"]);
    await until("the new one serves alone", async () => {
      const { endpoints } = await on.row("plain");
      return endpoints.length > 0 && endpoints.every(({ version }) => version === undefined);
    });
    expect(await on.say("plain")).toMatchObject({ text: before.text, name: "plain", level: "high" });
    expect((await on.row("plain")).version).toBe("v2");
    await on.deploy("plain");
    expect(await on.kept("plain")).toMatchObject({ last: 2, latest: "v1", main: "v1", previous: "v2" });
  }, 60_000);

  test("says of each replica which version it runs while it is updated", async () => {
    await on.deploy("rolling", { envVars: { LEVEL: "a" } });
    await on.say("rolling");
    await on.deploy("rolling", { envVars: { LEVEL: "b" } });
    const { version, endpoints } = await on.row("rolling");
    expect(version).toBe("v2");
    expect(endpoints[0]?.version).toBe("v1");
    await until("the new one serves", async () => {
      const row = await on.row("rolling");
      return row.endpoints.length === 1 && row.endpoints[0]?.version === undefined;
    });
  }, 60_000);

  test("keeps its name for a version, which is no other's", async () => {
    const named = (name: string, level: string) => ({
      annotations: { "com.faaslane.version-name": name },
      envVars: { LEVEL: level },
    });
    await on.deploy("named", named("abc", "1"));
    await on.deploy("named", named("abc", "1"));
    await expect(on.deploy("named", named("abc", "2"))).rejects.toMatchObject({ kind: "conflict" });
    await on.deploy("named", named("def", "2"));
    expect((await on.kept("named")).versions.map(({ version, name }) => [version, name])).toEqual([
      ["v1", "abc"],
      ["v2", "def"],
    ]);
  }, 30_000);

  test.each([
    ["com.faaslane.traffic", "v1=90,latest=9.99", "99.99"],
    ["com.faaslane.traffic", "v1=90,latest=10.01", "100.01"],
    ["com.faaslane.traffic", "v1=-1,latest=101", "v1=-1"],
    ["com.faaslane.traffic", "v1=90.001,latest=9.999", "v1=90.001"],
    ["com.faaslane.traffic", "v9=10,latest=90", "v9"],
    ["com.faaslane.version-keep", "many", "version-keep"],
    ["com.faaslane.rollback-window", "soon", "rollback-window"],
    ["com.faaslane.rollout", "bold", "instant, canary"],
  ])("is refused for %s: %s", async (name, value, why) => {
    const refused = on.deploy("refused", { annotations: { [name]: value } });
    await expect(refused).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining(why) });
  });
});

describe("a function with a rollout", () => {
  test("gets its new version beside the other, and one row in lists", async () => {
    await on.deploy("beside", CANARY);
    const first = await on.say("beside");
    await on.deploy("beside", { ...CANARY, image: "app:2" });
    expect(await on.say("beside@v2")).toMatchObject({ text: "two", name: "beside" });
    expect(await on.say("beside")).toMatchObject({ text: "one" });
    expect(first.name).toBe("beside");
    const row = await on.row("beside");
    expect(row).toMatchObject({ version: "v1", rollout: { from: "v1", to: "v2", phase: "warming" } });
    expect(row.traffic).toBeUndefined();
    const names = (await on.backend.functions.list("openfaas-fn")).map(({ name }) => name);
    expect(names.filter((name) => name.startsWith("beside"))).toEqual(["beside"]);
    expect(await on.backend.functions.get(ref("beside"))).toMatchObject({ image: "app:2", replicas: 2 });
  }, 60_000);

  test("gets a third version in place of the second, from the first step", async () => {
    await on.local.addImage("app:3", saying("three"));
    await on.deploy("beside", { ...CANARY, image: "app:3" });
    const { rollout: state } = await on.row("beside");
    expect(state).toMatchObject({ from: "v1", to: "v3", step: 0, phase: "warming", id: 2 });
    expect(await on.say("beside@v3")).toMatchObject({ text: "three" });
    await until("what nobody needs is gone", async () => (await on.row("beside@v2")).replicas === 0, 30_000);
  }, 60_000);

  test("has the logs of all its versions under its name", async () => {
    const read = async () => {
      const texts: string[] = [];
      const query = { ...ref("beside"), follow: false };
      for await (const { name, text } of on.backend.logs(query, new AbortController().signal))
        texts.push(`${name} ${text}`);
      return texts.join("");
    };
    await on.say("beside");
    await on.say("beside@v3");
    await until("lines of both", async () => {
      const text = await read();
      return text.includes("beside called one") && text.includes("beside called three");
    });
  }, 30_000);

  test("aborted, leaves the stable version as it was, and is not begun again by the same deploy", async () => {
    const { pid } = await on.say("beside");
    await on.control.act(ref("beside"), { action: "abort", reason: "it is wrong" }, "admin");
    const { history, latest } = await on.kept("beside");
    expect(latest).toBe("v1");
    expect(history.at(-1)).toMatchObject({ traffic: "v1=100", reason: "it is wrong", by: "admin" });
    await on.deploy("beside", { ...CANARY, image: "app:3" });
    expect((await on.control.rollout(ref("beside"))).rollout).toMatchObject({
      phase: "aborted",
      reason: "it is wrong",
    });
    expect((await on.say("beside")).pid).toBe(pid);
    const warnings = await on.backend.functions.warningsFor?.({
      service: "beside",
      namespace: "openfaas-fn",
      image: "app:3",
      ...CANARY,
    });
    expect(warnings?.join()).toContain("v3 was aborted (it is wrong)");
    await until("its replicas go", async () => (await on.row("beside@v3")).replicas === 0, 30_000);
  }, 60_000);

  test("removed, leaves nothing", async () => {
    await on.backend.functions.remove(ref("beside"));
    const rows = await on.rows();
    expect([...rows.keys()].filter((name) => name.startsWith("beside"))).toEqual([]);
    expect(await on.local.backend.versions?.get(ref("beside"))).toBeUndefined();
    expect((await on.local.backend.functions.list("openfaas-fn")).map(({ name }) => name)).not.toContain("beside@v3");
    await on.deploy("beside", CANARY);
    expect(await on.kept("beside")).toMatchObject({ last: 1, generation: 1 });
  }, 30_000);
});

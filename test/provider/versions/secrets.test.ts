import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ref, until } from "../local/support.ts";
import { openVersioned, type VersionedFixture } from "./support.ts";

const SECRET = { name: "api-key", namespace: "openfaas-fn" };
const TRACK = { "com.faaslane.secrets.track": "true" };

let on: VersionedFixture;
beforeAll(async () => {
  on = await openVersioned();
  await on.backend.secrets.create(SECRET, Buffer.from("one"));
}, 30_000);
afterAll(async () => await on?.close(), 30_000);

const versionsOf = async (name: string) => (await on.kept(name)).versions.map(({ version }) => version);

test("a new value is a new version of a function that tracks its secrets, and of no other", async () => {
  await on.deploy("tracks", { secrets: [SECRET.name], annotations: TRACK });
  await on.deploy("does-not", { secrets: [SECRET.name] });
  await on.deploy("has-none", { annotations: TRACK });
  const { pid } = await on.say("tracks");
  const other = await on.say("does-not");
  await on.backend.secrets.update(SECRET, Buffer.from("two"));

  expect(await versionsOf("tracks")).toEqual(["v1", "v2"]);
  await until("another replica serves", async () => (await on.say("tracks")).pid !== pid, 30_000);
  expect(await versionsOf("does-not")).toEqual(["v1"]);
  expect(await versionsOf("has-none")).toEqual(["v1"]);
  expect((await on.say("does-not")).pid).toBe(other.pid);
}, 60_000);

test("with a rollout, the new value is rolled out", async () => {
  const annotations = { ...TRACK, "com.faaslane.rollout": "canary", "com.faaslane.rollout.steps": "10@1h,100" };
  await on.deploy("rolls", { secrets: [SECRET.name], annotations });
  await on.say("rolls");
  await on.backend.secrets.update(SECRET, Buffer.from("three"));
  const { rollout, latest } = await on.kept("rolls");
  expect({ latest, to: rollout?.to, phase: rollout?.phase }).toEqual({ latest: "v1", to: "v2", phase: "warming" });
  await on.say("rolls@v2");
}, 60_000);

test("the same deploy again is no version, whatever mark it claims; nor does the mark say anything of the value", async () => {
  const before = await versionsOf("tracks");
  const claimed = { ...TRACK, "com.faaslane.secrets.revision": "mine" };
  await on.deploy("tracks", { secrets: [SECRET.name], annotations: claimed });
  expect(await versionsOf("tracks")).toEqual(before);
  const status = await on.backend.functions.get(ref("tracks"));
  expect(status?.annotations?.["com.faaslane.secrets.revision"]).toMatch(/^[0-9a-f]{16}$/);
  await on.deploy("has-none", { annotations: { ...claimed } });
  const plain = await on.backend.functions.get(ref("has-none"));
  expect(plain?.annotations).not.toHaveProperty(["com.faaslane.secrets.revision"]);
  await expect(on.deploy("has-none", { annotations: { "com.faaslane.secrets.track": "yes" } })).rejects.toThrow(
    "com.faaslane.secrets.track: must be true or false",
  );
}, 60_000);

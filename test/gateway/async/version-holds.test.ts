import { expect, test } from "@jest/globals";
import { FaasError } from "../../../contract/errors.ts";
import { VersionHolds } from "../../../gateway/async/intake/version-holds.ts";

const HOUR = 3_600_000;
const shop = { name: "shop", namespace: "openfaas-fn" };

function open(hold: (version: string, until: number) => Promise<void> = async () => {}) {
  const on = { now: 1_000_000, asked: [] as [version: string, until: number][], warnings: 0 };
  const holds = new VersionHolds({
    hold: async (_ref, version, until) => {
      on.asked.push([version, until]);
      await hold(version, until);
    },
    log: {
      warn: () => {
        on.warnings += 1;
      },
    },
    now: () => on.now,
    waitMs: 20,
  });
  return { on, holds };
}

test("a version is asked for once for many calls, and again for one that is made much later", async () => {
  const { on, holds } = open();
  await Promise.all(Array.from({ length: 20 }, () => holds.want(shop, "v1", on.now)));
  expect(on.asked).toEqual([["v1", on.now + 25 * HOUR]]);
  await holds.want(shop, "v1", on.now + HOUR);
  expect(on.asked).toHaveLength(1);
  await Promise.all([holds.want(shop, "v1", on.now + 2 * HOUR), holds.want(shop, "v2", on.now)]);
  expect(on.asked.map(([version]) => version)).toEqual(["v1", "v1", "v2"]);
});

test("a call that joins the order of another gets its own when that is too short", async () => {
  const { on, holds } = open();
  await Promise.all([holds.want(shop, "v1", on.now), holds.want(shop, "v1", on.now + 50 * HOUR)]);
  expect(on.asked.map(([, until]) => until)).toEqual([on.now + 25 * HOUR, on.now + 75 * HOUR]);
});

test("is asked for anew after a while: the function may be another one", async () => {
  const { on, holds } = open();
  await holds.want(shop, "v1", on.now);
  on.now += 11 * 60_000;
  await holds.want(shop, "v1", on.now);
  expect(on.asked).toHaveLength(2);
});

test("a version that is gone, and a provider that knows of none, are no failure", async () => {
  const { on, holds } = open(async () => {
    throw new FaasError("notFound", "there is no version v1");
  });
  await holds.want(shop, "v1", on.now);
  await holds.want(shop, "v1", on.now);
  expect([on.asked.length, on.warnings]).toEqual([1, 0]);
});

test.each<[what: string, hold: () => Promise<void>, warnings: number]>([
  ["fails", () => Promise.reject(new FaasError("upstream", "away")), 1],
  ["is silent", () => new Promise(() => {}), 0],
])("a provider that %s holds up no call, and is left alone for a while", async (_what, hold, warnings) => {
  const { on, holds } = open(hold);
  await holds.want(shop, "v1", on.now);
  await holds.want(shop, "v2", on.now);
  expect([on.asked.length, on.warnings]).toEqual([1, warnings]);
  on.now += 61_000;
  await holds.want(shop, "v2", on.now);
  expect(on.asked).toHaveLength(2);
});

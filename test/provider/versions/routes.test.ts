import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parseRoutes } from "../../../contract/routes/parse-routes.ts";
import { OwnedRoutes } from "../../../provider/routes/owned-routes.ts";
import { ref, until } from "../local/support.ts";
import { openVersioned, rollout, saying, type VersionedFixture } from "./support.ts";

let on: VersionedFixture;
beforeAll(async () => {
  on = await openVersioned();
}, 30_000);
afterAll(async () => await on?.close(), 30_000);

const ROUTES = "com.faaslane.routes";

test.each<[what: string, annotations: Record<string, string>]>([
  ["of a function that is updated in place", {}],
  [
    "of one with versions beside each other",
    rollout("canary", { "com.faaslane.rollout.steps": "10@pause,100" }).annotations,
  ],
])(
  "routes that are set deploy nothing, though the image of the version means another one by now: %s",
  async (what, annotations) => {
    const name = what.includes("place") ? "placed" : "besides";
    await on.local.addImage("app:moving", saying("old"));
    await on.deploy(name, { image: "app:moving", annotations });
    const { pid } = await on.say(name);
    const before = await on.kept(name);
    await on.local.addImage("app:moving", saying("new"));
    const routes = new OwnedRoutes(on.backend);
    await routes.set(ref(name), parseRoutes(`${name}.example.com/x/*`));
    await until(
      "gateways are told",
      async () => (await on.row(name)).annotations[ROUTES] === `${name}.example.com/x/*`,
    );
    expect(await on.say(name)).toMatchObject({ text: "old", pid });
    expect(await on.kept(name)).toEqual(before);
    expect((await on.backend.functions.get(ref(name)))?.annotations).toMatchObject({
      ...annotations,
      [ROUTES]: `${name}.example.com/x/*`,
    });
    await routes.set(ref(name), []);
    await until("they are gone", async () => (await on.row(name)).annotations[ROUTES] === undefined);
    expect(await on.kept(name)).toEqual(before);
  },
  60_000,
);

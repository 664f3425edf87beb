import { afterEach, expect, test } from "@jest/globals";
import { FaasError } from "../../contract/errors.ts";
import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import { resolveTargets } from "../../provider/versions/resolve-targets.ts";
import { ref, until } from "../provider/local/support.ts";
import { openVersioned, type VersionedFixture } from "../provider/versions/support.ts";
import { seededRandom, seedOf } from "../support/seeded-random.ts";

/** Whatever is done to a function's versions in whatever order: its calls reach replicas that run what they are to. */
const NAME = "shop";
const STEPS = 25;
const SETTINGS: readonly Record<string, string>[] = [
  {},
  { "com.faaslane.rollout": "canary", "com.faaslane.rollout.steps": "10@1h,100" },
  { "com.faaslane.rollout": "blue-green", "com.faaslane.rollback-window": "0s" },
  { "com.faaslane.rollout": "manual" },
  { "com.faaslane.traffic": "latest=100,v1=0@first" },
  { "com.faaslane.version-keep": "0", "com.faaslane.rollback-window": "1s" },
];
const ACTIONS = ["promote", "abort", "pause", "approve", "resume"] as const;

let on: VersionedFixture | undefined;
afterEach(async () => {
  await on?.close();
  on = undefined;
}, 60_000);

async function kept({ local }: VersionedFixture): Promise<FunctionVersions | undefined> {
  return await local.backend.versions?.get(ref(NAME));
}

/** Does one thing; @returns what */
async function act(fixture: VersionedFixture, below: (limit: number) => number): Promise<string> {
  const { control, backend } = fixture;
  const versions = (await kept(fixture))?.versions ?? [];
  const any = () => versions[below(versions.length)]?.version ?? "v1";
  const shop = ref(NAME);
  switch (below(9)) {
    case 0: {
      const [one, two] = [any(), any()];
      const targets = [
        { version: one, share: 4_000 },
        { version: two, share: 6_000, tag: "t" },
      ];
      await control.setTraffic(shop, { targets: below(3) > 0 ? targets : [] }, undefined);
      return `traffic ${one} ${two}`;
    }
    case 1: {
      const to = below(2) > 0 ? any() : undefined;
      await control.rollback(shop, to === undefined ? {} : { to }, undefined);
      return `rollback ${to}`;
    }
    case 2: {
      const action = ACTIONS[below(ACTIONS.length)] as (typeof ACTIONS)[number];
      await control.act(shop, { action }, undefined);
      return action;
    }
    case 3: {
      const { generation, rollout } = await control.rollout(shop);
      const phase = below(2) > 0 ? "done" : "step";
      if (rollout) await control.drive(shop, { generation, rollout: { ...rollout, phase } });
      return `drive ${phase}`;
    }
    case 4: {
      const version = any();
      await backend.functions.scale(ref(`${NAME}@${version}`), below(2));
      return `scale ${version}`;
    }
    case 5:
      if (below(3) === 0) await fixture.restart();
      return "perhaps restart";
    default: {
      const annotations = SETTINGS[below(SETTINGS.length)] ?? {};
      const level = String(below(4));
      await fixture.deploy(NAME, { envVars: { LEVEL: level }, annotations });
      return `deploy ${level} ${JSON.stringify(annotations)}`;
    }
  }
}

/** Whether each version with a share answers, as what it was deployed. */
async function isTrue(fixture: VersionedFixture): Promise<boolean> {
  const versions = await kept(fixture);
  const own = await fixture.row(NAME);
  if (!versions || own.version !== versions.main) return false;
  for (const { version, share } of resolveTargets(versions)) {
    const content = versions.versions.find((each) => each.version === version)?.content;
    if (!content) throw new Error(`${version} has a share and is not kept`);
    if (share === 0) continue;
    const name = version === versions.main ? NAME : `${NAME}@${version}`;
    const row = await fixture.row(name);
    // As a gateway does for a call.
    if (row.replicas === 0) await fixture.backend.functions.scale(ref(name), 1);
    const ready = row.endpoints.find((one) => one.state === "ready" && one.version === undefined);
    if (!ready) return false;
    const said = await fetch(`http://${ready.address}/`).catch(() => undefined);
    if (!said) return false;
    const { level } = (await said.json()) as { level: string };
    if (level !== content.envVars?.LEVEL) throw new Error(`${name} runs ${level}, not ${content.envVars?.LEVEL}`);
  }
  return true;
}

test.each([1, 2, 3])(
  "calls reach what they are to, after any changes: %i",
  async (round) => {
    const random = seededRandom(seedOf(`versions ${round}`) + round);
    const below = (limit: number) => Math.floor(random() * limit);
    on = await openVersioned();
    const fixture = on;
    await fixture.deploy(NAME, { envVars: { LEVEL: "0" } });
    const done: string[] = [];
    for (let step = 0; step < STEPS; step++) {
      try {
        done.push(await act(fixture, below));
      } catch (error) {
        // It is told what does not go.
        expect({ done, error }).toEqual({ done, error: expect.any(FaasError) });
        done.push((error as FaasError).message);
        expect({ done, kind: (error as FaasError).kind }).not.toMatchObject({ kind: "internal" });
      }
      if (below(3) === 0) await until(`all is true after\n${done.join("\n")}`, () => isTrue(fixture), 30_000);
    }

    // With no settings left, one version is left too, once what callers have woken sleeps again.
    await fixture.deploy(NAME, { envVars: { LEVEL: "9" } });
    await fixture.control.act(ref(NAME), { action: "promote" }, undefined).catch(() => {});
    await fixture.control.setTraffic(ref(NAME), { targets: [] }, undefined);
    await until(
      `one is left after\n${done.join("\n")}`,
      async () => {
        const names = (await fixture.local.backend.functions.list("openfaas-fn")).map(({ name }) => name);
        const versions = await kept(fixture);
        for (const name of names)
          if (name.includes("@")) await fixture.backend.functions.scale(ref(name), 0).catch(() => {});
        return names.length === 1 && versions?.main === versions?.latest;
      },
      60_000,
    );
    expect((await fixture.say(NAME)).name).toBe(NAME);
  },
  240_000,
);

import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { readMaxInflight } from "../../contract/max-inflight.ts";
import type { FunctionVersion, FunctionVersions } from "../../contract/versions/function-versions.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { versionedName } from "../../contract/versions/version-name.ts";
import { annotationsOf } from "./content.ts";
import { isDivided, resolveTargets } from "./resolve-targets.ts";
import { readVersionSettings } from "./settings.ts";
import { type Standing, standingOf } from "./standing.ts";

/** What a backend tells of a function and of the versions that run beside it. */
export interface RawRows {
  /** The one under the function's own name. */
  readonly main: FunctionEndpoints;
  /** By their versions. */
  readonly beside: ReadonlyMap<string, FunctionEndpoints>;
}

const MIN = "com.openfaas.scale.min";
const ZERO = "com.openfaas.scale.zero";
/** What would keep replicas of a version that nobody calls. */
const RESERVES = new Set(["com.faaslane.scale.windows", "com.faaslane.scale.prewarm", "com.openfaas.min.scale"]);

type Told = Pick<FunctionEndpoints, "labels" | "annotations">;

/** How gateways are to scale a version that is there for `standing`. */
function scaledAs(standing: Standing, { labels, annotations }: Told): Told {
  if (standing === "serving") return { labels, annotations };
  const without = (map: Readonly<Record<string, string>>, names: ReadonlySet<string>) =>
    Object.fromEntries(Object.entries(map).filter(([name]) => !names.has(name)));
  // At least one replica, as `min` means with nothing else said.
  if (standing === "warm") return { labels: { ...labels, [ZERO]: "false" }, annotations };
  return {
    labels: { ...without(labels, RESERVES), [MIN]: "0", [ZERO]: "true" },
    annotations: without(annotations, RESERVES),
  };
}

/** The rows that gateways get of a function: its own first, then those of all other versions that are kept. */
export function renderRows(
  { main, beside }: RawRows,
  versions: FunctionVersions | undefined,
  now: number,
): FunctionEndpoints[] {
  if (!versions) return [asRunning(main, main.version ?? "v1", { trafficGeneration: 0 })];
  const settings = { ...readVersionSettings(main.annotations), now };
  const { rollout, generation } = versions;
  const targets = resolveTargets(versions);
  const own = asRunning(main, versions.main, {
    ...scaledAs(standingOf(versions, versions.main, settings), main),
    ...(isDivided(targets, versions.main) && { traffic: targets }),
    ...(rollout && isUnderWay(rollout) && { rollout }),
    trafficGeneration: generation,
  });
  const others = versions.versions.filter(({ version }) => version !== versions.main);
  return [
    own,
    ...others.map((version) => {
      const annotations = annotationsOf(main.annotations, version.content);
      const told = { labels: main.labels, annotations };
      const row = beside.get(version.version) ?? asleep(main, version);
      return asRunning(row, version.version, scaledAs(standingOf(versions, version.version, settings), told));
    }),
  ];
}

/** The row of a version of which nothing runs. */
function asleep(main: FunctionEndpoints, { version, content }: FunctionVersion): FunctionEndpoints {
  const maxInflight = readMaxInflight(content.envVars ?? {});
  return {
    name: versionedName(main.name, version),
    namespace: main.namespace,
    labels: {},
    annotations: {},
    replicas: 0,
    generation: 0,
    ...(maxInflight !== undefined && { maxInflight }),
    ...(main.cores !== undefined && { cores: main.cores }),
    endpoints: [],
  };
}

/** `row` with its version, and with that of each replica which runs another. */
function asRunning(row: FunctionEndpoints, version: string, more: Partial<FunctionEndpoints>): FunctionEndpoints {
  const { endpoints, version: told = version, ...rest } = row;
  return {
    ...rest,
    ...more,
    version,
    endpoints: endpoints.map((endpoint) => {
      const { version: own = told, ...others } = endpoint;
      return own === version ? others : { ...others, version: own };
    }),
  };
}

import { isUnderWay, type RolloutState } from "../../../contract/versions/rollout-state.ts";
import type { TrafficTarget } from "../../../contract/versions/traffic.ts";
import { isTag, isVersion } from "../../../contract/versions/version-name.ts";

/** What is known of a function's versions. */
export interface VersionsKnown {
  /** The one that serves under the function's own name. */
  readonly version?: string | undefined;
  readonly traffic?: readonly TrafficTarget[] | undefined;
  readonly rollout?: RolloutState | undefined;
}

/** A version, or why none is meant. */
export type WantedVersion = { readonly version: string } | { readonly ignored: string };

/** Which version a caller means that asks for one by header: with calls or a tag, `stable` or `candidate`. */
export function readWantedVersion(text: string, known: VersionsKnown): WantedVersion {
  const { version: main, traffic = [], rollout } = known;
  const goesOn = rollout !== undefined && isUnderWay(rollout);
  if (text === "candidate") return goesOn ? { version: rollout.to } : { ignored: "no rollout is under way" };
  if (text === "stable") {
    const stable = goesOn ? rollout.from : (mostCalls(traffic) ?? main);
    return stable === undefined ? { ignored: "no version is known" } : { version: stable };
  }
  if (isVersion(text)) {
    if (traffic.some(({ version }) => version === text)) return { version: text };
    if (traffic.length === 0 && text === main) return { version: text };
    return { ignored: `${text} has no calls and no tag` };
  }
  if (!isTag(text)) return { ignored: "it is no version and no tag" };
  const tagged = traffic.find(({ tag }) => tag === text);
  return tagged ? { version: tagged.version } : { ignored: `there is no tag ${text}` };
}

function mostCalls(traffic: readonly TrafficTarget[]): string | undefined {
  let most: TrafficTarget | undefined;
  for (const target of traffic) if (target.share > (most?.share ?? 0)) most = target;
  return most?.version;
}

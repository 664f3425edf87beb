import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { RolloutState } from "../../contract/versions/rollout-state.ts";
import { parseVersionedName, versionedName } from "../../contract/versions/version-name.ts";
import type { KnownFunction } from "../core/known-function.ts";
import { TrialCounts, trialKey } from "../core/rollout/trial-counts.ts";
import type { FunctionMeter } from "./function-meter.ts";

/** A function, or one of its versions, whose calls are counted. */
export interface CountedFunction {
  readonly snapshot: KnownFunction;
  readonly meter: FunctionMeter;
}

interface Counted {
  /** @param target `name.namespace` */
  find(target: string): CountedFunction | undefined;
  onChange(listener: (ref: FunctionRef) => void): () => void;
}

/**
 * Has the calls of the two versions counted while a rollout of a function is under way, from each of its steps on anew.
 * Functions without one have nothing of it.
 */
export function followTrials(table: Counted): void {
  /** By `name.namespace`. */
  const counting = new Map<string, readonly CountedFunction[]>();
  table.onChange(({ name, namespace }) => {
    const ref = { name: parseVersionedName(name).name, namespace };
    const target = qualifiedName(ref);
    const before = counting.get(target) ?? [];
    const { rollout } = table.find(target)?.snapshot ?? {};
    const key = trialKey(rollout);
    const now = key === undefined || !rollout ? [] : versionsIn(table, ref, rollout);
    for (const { meter } of before.filter((each) => !now.includes(each))) meter.trial = undefined;
    for (const { meter } of now) if (key !== undefined && meter.trial?.key !== key) meter.trial = new TrialCounts(key);
    if (now.length > 0) counting.set(target, now);
    else counting.delete(target);
  });
}

function versionsIn(table: Pick<Counted, "find">, ref: FunctionRef, { from, to }: RolloutState): CountedFunction[] {
  return [from, to].flatMap((version) => findVersion(table, ref, version) ?? []);
}

/** Where calls of a version go: to the function itself when that is what its own replicas run. */
export function findVersion<E extends { readonly snapshot: KnownFunction }>(
  table: { find(target: string): E | undefined },
  { name, namespace }: FunctionRef,
  version: string,
): E | undefined {
  const main = table.find(qualifiedName({ name, namespace }));
  if (main?.snapshot.version === version) return main;
  return table.find(qualifiedName({ name: versionedName(name, version), namespace }));
}

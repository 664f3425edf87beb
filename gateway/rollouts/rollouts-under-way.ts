import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { isUnderWay, type RolloutState } from "../../contract/versions/rollout-state.ts";
import { parseVersionedName } from "../../contract/versions/version-name.ts";
import type { KnownFunction } from "../core/known-function.ts";
import type { TrialNumbers } from "../core/rollout/evaluate-gates.ts";
import { TrialBook, type TrialSides } from "../core/rollout/trial-book.ts";
import { TrialCounts, trialKey } from "../core/rollout/trial-counts.ts";
import { type CountedFunction, findVersion } from "../proxy/follow-trials.ts";

export interface RolloutTable {
  /** @param target `name.namespace` */
  find(target: string): CountedFunction | undefined;
  onChange(listener: (ref: FunctionRef) => void): () => void;
}

/** A function with a rollout under way. */
export interface FunctionInRollout {
  readonly ref: FunctionRef;
  /** `name.namespace`. */
  readonly name: string;
  /** As the stream last told it. */
  readonly rollout: RolloutState;
}

/** Which rollouts there are, by the provider's stream, and what all gateways together have counted of each. */
export class RolloutsUnderWay {
  readonly #table: RolloutTable;
  /** Of this gateway, its own for each start. */
  readonly #gateway: string;
  readonly #known = new Map<string, FunctionInRollout>();
  readonly #book = new TrialBook();

  constructor(table: RolloutTable, gateway: string) {
    this.#table = table;
    this.#gateway = gateway;
    table.onChange(({ name, namespace }) => this.#look({ name: parseVersionedName(name).name, namespace }));
  }

  #look(ref: FunctionRef): void {
    const name = qualifiedName(ref);
    const { rollout } = this.#table.find(name)?.snapshot ?? {};
    if (rollout && isUnderWay(rollout)) this.#known.set(name, { ref, name, rollout });
    else if (this.#known.delete(name)) this.#forget();
  }

  list(): readonly FunctionInRollout[] {
    return [...this.#known.values()];
  }

  /** What runs a version: its snapshot; undefined while it is not announced. */
  versionOf(ref: FunctionRef, version: string): KnownFunction | undefined {
    return findVersion(this.#table, ref, version)?.snapshot;
  }

  /** What this gateway has counted, for the others; undefined while there is nothing. */
  report(): Record<string, TrialSides> | undefined {
    this.#forget();
    const trials: Record<string, TrialSides> = {};
    for (const each of this.#known.values()) {
      const own = this.#own(each);
      if (own) trials[each.name] = own;
    }
    return Object.keys(trials).length > 0 ? trials : undefined;
  }

  #forget(): void {
    this.#book.keep(new Set(this.#known.keys()));
  }

  #own({ ref, rollout }: FunctionInRollout): TrialSides | undefined {
    const key = trialKey(rollout);
    if (key === undefined) return undefined;
    const [candidate, stable] = [rollout.to, rollout.from].map((version) => {
      const trial = findVersion(this.#table, ref, version)?.meter.trial;
      return (trial?.key === key ? trial : new TrialCounts(key)).report();
    }) as [TrialSides["candidate"], TrialSides["stable"]];
    return { key, candidate, stable };
  }

  /** What another gateway has counted. */
  receive(gateway: string, trials: Readonly<Record<string, TrialSides>>): void {
    this.#book.write(gateway, trials);
  }

  /** Of all gateways, since the step of `rollout` began. */
  numbers(name: string, rollout: RolloutState): TrialNumbers {
    const known = this.#known.get(name);
    const own = known && this.#own(known);
    if (own) this.#book.write(this.#gateway, { [name]: own });
    return this.#book.sum(name, trialKey(rollout));
  }
}

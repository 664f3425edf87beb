import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { FunctionVersion, FunctionVersions } from "../../contract/versions/function-versions.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { versionNumber } from "../../contract/versions/version-name.ts";
import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import type { FunctionStore, ResolvedDeployment, VersionStore } from "../backends/backend.ts";
import { adopt } from "./adopt.ts";
import { collect } from "./collect.ts";
import { contentOf, deploymentOf, sameContent } from "./content.ts";
import { firstVersions } from "./plan-deploy.ts";
import { amend, resolveTargets, soleVersion } from "./resolve-targets.ts";
import { readVersionSettings, type VersionSettings } from "./settings.ts";
import { isSettling, standingOf, warmUntil } from "./standing.ts";
import { deployedOf, Units, unitRef } from "./units.ts";
import type { VersionView } from "./version-view.ts";

export interface KeeperParts {
  readonly functions: FunctionStore;
  readonly store: VersionStore;
  readonly view: VersionView;
  readonly log: Logger;
  readonly now: () => number;
}

/** A function as it is deployed, with what is known of its versions. */
export interface Known {
  readonly present: ResolvedDeployment;
  readonly versions: FunctionVersions;
  readonly settings: VersionSettings;
}

/** Writes of others between reading and writing, until we give up; and how long we wait after the first. */
const ATTEMPTS = 8;
const PAUSE_MS = 50;

/** What a write was decided upon has changed. */
class StaleVersions extends FaasError {
  constructor(cause: FaasError) {
    super("conflict", cause.message, { cause, code: cause.code });
  }
}

/** How long a version may run before it is kept. */
const STRAY_MS = 60_000;

/** Knows the versions of functions, and makes true what is written of them. */
export class VersionKeeper {
  readonly units: Units;
  readonly #parts: KeeperParts;
  /**
   * Versions that had calls, or were kept warm, when they were last looked at. When that ends their replicas are taken away, once:
   * who wakes one later has it, by another provider too.
   */
  readonly #served = new Set<string>();
  /** When versions were first seen that are not kept, in milliseconds since 1970. */
  readonly #strays = new Map<string, number>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.units = new Units(parts.functions, parts.view);
  }

  get now(): number {
    return this.#parts.now();
  }

  /** Undefined when there is no such function. */
  async read(ref: FunctionRef): Promise<Known | undefined> {
    const present = await deployedOf(this.#parts.functions, ref);
    if (!present) return undefined;
    const versions = (await this.#parts.store.get(ref)) ?? (await this.#implicit(ref, present));
    return { present, versions, settings: readVersionSettings(present.annotations) };
  }

  /** A function of which nothing has been kept is at its first version. */
  async #implicit(ref: FunctionRef, present: ResolvedDeployment): Promise<FunctionVersions> {
    const status = await this.#parts.functions.get(ref);
    const createdAt = status?.createdAt ?? new Date(this.now).toISOString();
    return firstVersions({ content: contentOf(present), createdAt });
  }

  /** @throws {FaasError} `conflict` when it has been written since `before` was read */
  async write(ref: FunctionRef, before: FunctionVersions, after: FunctionVersions): Promise<void> {
    await this.#put(ref, before, after);
    const change = after.history.at(-1);
    if (change && change !== before.history.at(-1)) {
      const { traffic, reason, by } = change;
      this.#parts.log.info(
        { function: ref.name, namespace: ref.namespace, traffic, reason, by },
        "traffic has changed",
      );
    }
  }

  async #put(ref: FunctionRef, before: FunctionVersions, after: FunctionVersions): Promise<void> {
    try {
      await this.#parts.store.put(ref, after, before.generation);
    } catch (error) {
      throw error instanceof FaasError && error.kind === "conflict" ? new StaleVersions(error) : error;
    }
  }

  async forget(ref: FunctionRef): Promise<void> {
    await this.units.removeAll(ref);
    if (await this.#parts.store.get(ref)) await this.#parts.store.remove(ref);
  }

  /**
   * Does `work` with what is known of a function, anew when another provider has written in the meantime.
   * @param adopts whether what runs under its own name without having been deployed here is taken note of first
   * @throws {FaasError} `notFound` when there is no such function
   */
  async change<T>(ref: FunctionRef, work: (known: Known) => Promise<T>, adopts = true): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const found = await this.read(ref);
      if (!found) throw new FaasError("notFound", `function "${ref.name}" not found`, { code: "unknown_function" });
      try {
        // The second time, what runs may be of the first.
        return await work(adopts && attempt === 1 ? { ...found, versions: await this.#adopt(ref, found) } : found);
      } catch (error) {
        if (!(error instanceof StaleVersions) || attempt >= ATTEMPTS) throw error;
        // What the other has written may take a moment to be seen here; two of them are not to meet again and again.
        await sleep(PAUSE_MS * attempt * (0.5 + Math.random() / 2));
      }
    }
  }

  /**
   * Has the function's own replicas run what is written, should they be on their way to another version: what is about to
   * change may need them, and the way is gone again afterwards.
   */
  async restoreMain({ present, versions }: Known): Promise<void> {
    const main = versions.versions.find(({ version }) => version === versions.main);
    if (!main || !this.#parts.functions.deployed || sameContent(main.content, contentOf(present))) return;
    await this.#parts.functions.update(deploymentOf(present, main));
  }

  /** The version's replicas are somebody's now. */
  own(ref: FunctionRef, version: string): void {
    this.#served.delete(unitKey(ref, version));
  }

  /**
   * Brings what runs of a function to what is written of it: a step at a time, each of which may be the last before a crash.
   * @returns when to look again without a cause, in milliseconds since 1970; undefined for never
   */
  async reconcile(ref: FunctionRef): Promise<number | undefined> {
    if (!(await this.#parts.store.get(ref))) return await this.#removeStrays(ref, { last: 1, versions: [] });
    const known = await this.read(ref);
    if (!known) {
      if (!this.#parts.view.rowOf(ref)) await this.forget(ref);
      return undefined;
    }
    const adopted = await this.#adopt(ref, known);
    const now = this.now;
    const current = { ...known, versions: adopted };
    const lookAt = await this.#removeStrays(ref, adopted);
    await this.#tidyUnits(ref, current, now);
    await this.#warmUp(ref, current);
    if (isSettling(adopted, { ...known.settings, now })) await this.#settle(ref, current);
    this.#parts.view.refresh(ref);
    const ends = adopted.versions.flatMap(
      ({ version }) => warmUntil(adopted, version, { ...known.settings, now }) ?? [],
    );
    const times = lookAt === undefined ? ends : [...ends, lookAt];
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /**
   * Removes what is beside a function and is not kept. What is newer than all that is kept has just been made, by another
   * provider perhaps, which writes that down next; where it has not after a while, it never will.
   * @returns when to look again, in milliseconds since 1970
   */
  async #removeStrays(
    ref: FunctionRef,
    { last, versions }: Pick<FunctionVersions, "last" | "versions">,
  ): Promise<number | undefined> {
    const kept = new Set(versions.map(({ version }) => version));
    let lookAt: number | undefined;
    for (const version of this.#parts.view.besideOf(ref)) {
      const key = unitKey(ref, version);
      if (kept.has(version)) {
        this.#strays.delete(key);
        continue;
      }
      // The clock may have been set back since.
      const since = Math.min(this.#strays.get(key) ?? this.now, this.now);
      const isNew = this.#parts.store.isShared && versionNumber(version) > last;
      if (isNew && this.now < since + STRAY_MS) {
        this.#strays.set(key, since);
        lookAt = Math.min(lookAt ?? Number.POSITIVE_INFINITY, since + STRAY_MS);
        continue;
      }
      this.#strays.delete(key);
      await this.units.remove(ref, version);
    }
    return lookAt;
  }

  /** What runs under the function's own name may be another's work, or ours before a crash. */
  async #adopt(ref: FunctionRef, { present, versions }: Known): Promise<FunctionVersions> {
    const content = contentOf(present);
    const main = versions.versions.find(({ version }) => version === versions.main);
    const same = this.#parts.functions.deployed
      ? main !== undefined && sameContent(main.content, content)
      : main?.content.image === content.image;
    const sole = versions.versions.find(({ version }) => version === soleVersion(resolveTargets(versions)));
    // On its way there, see `#settle`.
    if (same || (sole && sameContent(sole.content, content))) return versions;
    const next = adopt(versions, content, this.now);
    await this.write(ref, versions, next);
    return next;
  }

  async #tidyUnits(ref: FunctionRef, { versions, settings }: Known, now: number): Promise<void> {
    const { view } = this.#parts;
    const kept = new Set(versions.versions.map(({ version }) => version));
    for (const version of view.besideOf(ref)) {
      if (!kept.has(version)) continue;
      const row = view.rowOf(ref, version);
      if (version === versions.main) {
        await this.units.remove(ref, version);
        continue;
      }
      const key = unitKey(ref, version);
      const standing = standingOf(versions, version, { ...settings, now });
      if (standing === "serving" || standing === "warm") this.#served.add(key);
      else if (this.#served.delete(key) && (row?.replicas ?? 0) > 0) {
        await this.units.scale(ref, version, 0);
      } else if (standing === "idle" && row?.replicas === 0 && row.endpoints.length === 0) {
        // What it was told just now may not have come back yet.
        const there = await this.#parts.functions.get(unitRef(ref, version));
        if ((there?.replicas ?? 0) === 0) await this.units.remove(ref, version);
      }
    }
  }

  /** The new version of a rollout has to have a replica before it gets a call. */
  async #warmUp(ref: FunctionRef, { present, versions }: Known): Promise<void> {
    const { rollout, main } = versions;
    if (!rollout || !isUnderWay(rollout) || rollout.phase !== "warming" || rollout.to === main) return;
    if ((this.#parts.view.rowOf(ref, rollout.to)?.replicas ?? 0) > 0) return;
    const version = versions.versions.find((each) => each.version === rollout.to);
    if (version) await this.units.ensure(present, version, this.warmth(ref, rollout));
  }

  /** Replicas that a rollout begins with. */
  warmth(ref: FunctionRef, { settings: { warm, steps } }: Pick<NonNullable<FunctionVersions["rollout"]>, "settings">) {
    if (warm !== "match") return Math.max(1, warm);
    const first = steps.find(({ mirror }) => !mirror)?.share ?? 0;
    const stable = this.#parts.view.rowOf(ref)?.replicas ?? 1;
    return Math.max(1, Math.ceil((stable * first) / 10_000));
  }

  /** Has the function's own replicas run the version that has all calls, and takes those away that have run it beside. */
  async #settle(ref: FunctionRef, { present, versions }: Known): Promise<void> {
    const { functions, view } = this.#parts;
    const sole = soleVersion(resolveTargets(versions)) as string;
    const version = versions.versions.find((each) => each.version === sole) as FunctionVersion;
    const wanted = view.rowOf(ref, sole)?.replicas ?? 0;
    if (!sameContent(contentOf(present), version.content)) {
      await functions.update(deploymentOf(present, version));
      if (wanted > (view.rowOf(ref)?.replicas ?? 0)) await functions.scale(ref, wanted);
      return;
    }
    const row = view.rowOf(ref);
    if (!row) return;
    const ready = row.endpoints.filter((one) => one.state === "ready" && (one.version ?? row.version ?? sole) === sole);
    if (ready.length < Math.min(row.replicas, Math.max(wanted, 1))) return;
    const reason = `${sole} runs under the function's own name`;
    await this.write(ref, versions, amend(versions, { main: sole }, { now: this.now, reason }));
  }

  /** Drops versions that nothing refers to. */
  async sweep(ref: FunctionRef): Promise<void> {
    const known = await this.read(ref);
    if (!known || known.versions.generation === 0) return;
    const { versions, settings } = known;
    const kept = collect(versions, { ...settings, now: this.now });
    if (kept.length === versions.versions.length) return;
    await this.write(ref, versions, { ...versions, generation: versions.generation + 1, versions: kept });
  }
}

function unitKey(ref: FunctionRef, version: string): string {
  return `${qualifiedName(ref)}/${version}`;
}

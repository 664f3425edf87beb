import { listProblems } from "../../contract/clip.ts";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import type {
  ListedRollout,
  ListedVersion,
  ListedVersions,
  RollbackAnswer,
  RollbackRequest,
  RolloutRequest,
  TrafficRequest,
  VersionDifference,
} from "../../contract/versions/requests.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { type TrafficTarget, trafficProblems, WHOLE } from "../../contract/versions/traffic.ts";
import { versionedName, versionNumber } from "../../contract/versions/version-name.ts";
import type { FunctionStore } from "../backends/backend.ts";
import { referenceTo } from "./collect.ts";
import { deploymentOf } from "./content.ts";
import { diffContents } from "./diff-contents.ts";
import type { FunctionTurns } from "./function-turns.ts";
import { requireVersions } from "./plan-deploy.ts";
import { describeRollback, planRollback, type Rollback } from "./plan-rollback.ts";
import { amend, type Cause, resolveTargets, shareOf, tagsOf } from "./resolve-targets.ts";
import { applyAction, driveRollout } from "./rollout-actions.ts";
import { warmUntil } from "./standing.ts";
import type { Known, VersionKeeper } from "./version-keeper.ts";
import type { VersionView } from "./version-view.ts";

/** Far longer than calls wait. */
const MAX_HOLD_MS = 31 * 24 * 3_600_000;

export interface VersionControlParts {
  readonly functions: FunctionStore;
  readonly keeper: VersionKeeper;
  readonly view: VersionView;
  readonly turns: FunctionTurns;
  kick(ref: FunctionRef): void;
}

/** What users and gateways ask about versions, and what they order. Each throws `notFound` when there is no such function. */
export class VersionControl {
  readonly #parts: VersionControlParts;

  constructor(parts: VersionControlParts) {
    this.#parts = parts;
  }

  /**
   * @param diff `v2..v3`
   * @throws {FaasError} `invalid` when these are no two versions of it
   */
  async list(ref: FunctionRef, diff?: string): Promise<ListedVersions> {
    const known = await this.#read(ref);
    const { versions } = known;
    const { generation, latest, stable, previous, history } = versions;
    return {
      name: ref.name,
      namespace: ref.namespace,
      generation,
      latest,
      stable,
      ...(previous !== undefined && { previous }),
      traffic: resolveTargets(versions),
      versions: this.#rows(ref, known),
      history: [...history],
      ...(diff !== undefined && { diff: differences(versions, diff) }),
    };
  }

  #rows(ref: FunctionRef, { versions, settings }: Known): ListedVersion[] {
    const { view, keeper } = this.#parts;
    const targets = resolveTargets(versions);
    const newestFirst = versions.versions.toSorted((a, b) => versionNumber(b.version) - versionNumber(a.version));
    return newestFirst.map(({ retiredAt: _retired, wantedUntil: _wanted, ...rest }) => {
      const { version } = rest;
      const row = version === versions.main ? view.rowOf(ref) : view.rowOf(ref, version);
      const until = warmUntil(versions, version, { ...settings, now: keeper.now });
      return {
        ...rest,
        share: shareOf(targets, version),
        tags: tagsOf(targets, version),
        replicas: row?.replicas ?? 0,
        availableReplicas: readyOf(row, version),
        ...(until !== undefined && { warmUntil: until }),
      };
    });
  }

  /** @throws {FaasError} `conflict` while something refers to it; `notFound` when there is no such version */
  async remove(ref: FunctionRef, version: string): Promise<void> {
    const { keeper } = this.#parts;
    await this.#change(ref, async ({ versions, settings }) => {
      if (!versions.versions.some((each) => each.version === version)) throw unknownVersion(ref, version);
      const why = referenceTo(versions, version, { ...settings, now: keeper.now });
      if (why !== undefined) throw new FaasError("conflict", `version ${version} ${why}`);
      const rest = versions.versions.filter((each) => each.version !== version);
      await keeper.write(ref, versions, { ...versions, generation: versions.generation + 1, versions: rest });
    });
  }

  /**
   * Keeps a version for calls that are accepted for it.
   * @param until in milliseconds since 1970; at most a month from now counts
   * @throws {FaasError} `notFound` when there is no such version
   */
  async hold(ref: FunctionRef, version: string, until: number): Promise<void> {
    const { keeper } = this.#parts;
    const wantedUntil = Math.min(until, keeper.now + MAX_HOLD_MS);
    await this.#change(ref, async ({ versions }) => {
      const found = versions.versions.find((each) => each.version === version);
      if (!found) throw unknownVersion(ref, version);
      if ((found.wantedUntil ?? 0) >= wantedUntil) return;
      const held = versions.versions.map((each) => (each === found ? { ...found, wantedUntil } : each));
      await keeper.write(ref, versions, { ...versions, generation: versions.generation + 1, versions: held });
    });
  }

  async traffic(ref: FunctionRef): Promise<TrafficRequest> {
    return trafficOf((await this.#read(ref)).versions);
  }

  /**
   * @throws {FaasError} `invalid` for a broken rule or unknown version; `conflict` when the generation is stale, or while a
   *   rollout is under way
   */
  async setTraffic(ref: FunctionRef, request: TrafficRequest, by: string | undefined): Promise<TrafficRequest> {
    const { keeper } = this.#parts;
    const problems = request.targets.length > 0 ? trafficProblems(request.targets) : [];
    if (problems.length > 0) throw new FaasError("invalid", `targets: ${listProblems(problems)}`);
    return await this.#change(ref, async (known) => {
      const { versions, settings } = known;
      demandGeneration(versions, request.generation);
      requireVersions(versions, request.targets, "targets");
      if (versions.rollout && isUnderWay(versions.rollout)) {
        const why = `the rollout of ${versions.rollout.to} is under way; promote or abort it first`;
        throw new FaasError("conflict", why);
      }
      const asked = request.targets.length > 0 ? request.targets : settings.traffic;
      const traffic = asked && !isAllToLatest(asked) ? [...asked] : undefined;
      const next = amend(
        versions,
        { traffic, detached: request.targets.length > 0 && versions.detached ? true : undefined },
        this.#cause(request.reason ?? "traffic was set", by),
      );
      await this.#wakeShares(ref, known, next);
      await keeper.write(ref, versions, next);
      return trafficOf(next);
    });
  }

  /** Versions that are about to get calls have replicas by then, unless the whole function sleeps. */
  async #wakeShares(ref: FunctionRef, { present, versions }: Known, next: FunctionVersions): Promise<void> {
    const { keeper, view } = this.#parts;
    const [before, after] = [resolveTargets(versions), resolveTargets(next)];
    const isAwake = [undefined, ...view.besideOf(ref)].some((beside) => (view.rowOf(ref, beside)?.replicas ?? 0) > 0);
    if (!isAwake) return;
    for (const version of versions.versions) {
      const gains = shareOf(after, version.version) > 0 && shareOf(before, version.version) === 0;
      if (!gains) continue;
      if (version.version === versions.main) {
        if (view.rowOf(ref)?.replicas === 0) await this.#parts.functions.scale(ref, 1);
      } else await keeper.units.ensure(present, version, 1);
    }
  }

  /** @throws {FaasError} as {@link planRollback} */
  async rollback(ref: FunctionRef, request: RollbackRequest, by: string | undefined): Promise<RollbackAnswer> {
    return await this.#change(ref, async (known) => {
      const cause = this.#cause(request.reason ?? "rolled back", by);
      const plan = planRollback(known.versions, request, cause);
      const warm = await this.#goBack(ref, known, plan);
      return { from: plan.from.version, to: plan.to.version, warm, warnings: describeRollback(plan) };
    });
  }

  /** @returns whether the version had ready replicas */
  async #goBack(ref: FunctionRef, known: Known, { from, to, versions }: Rollback): Promise<boolean> {
    const { functions, keeper, view } = this.#parts;
    const { present, settings, versions: before } = known;
    const row = view.rowOf(ref, to.version === before.main ? undefined : to.version);
    const isReady = readyOf(row, to.version) > 0;
    const isInPlace = !settings.beside && before.traffic === undefined && before.main === from.version;
    if (isReady) {
      await keeper.write(ref, before, versions);
    } else if (isInPlace && to.version !== before.main) {
      await functions.update(deploymentOf(present, to));
      await keeper.write(
        ref,
        before,
        amend(before, { latest: to.version, main: to.version, detached: versions.detached }, lastCause(versions)),
      );
    } else {
      const running = view.rowOf(ref, from.version === before.main ? undefined : from.version)?.replicas ?? 1;
      if (to.version !== before.main) await keeper.units.ensure(present, to, Math.max(1, running));
      else if ((row?.replicas ?? 0) < running) await functions.scale(ref, running);
      await keeper.write(ref, before, versions);
    }
    return isReady;
  }

  async rollout(ref: FunctionRef): Promise<ListedRollout> {
    const { versions } = await this.#read(ref);
    const listed = rolloutOf(versions);
    if (!listed.rollout || !isUnderWay(listed.rollout)) return listed;
    const { to } = listed.rollout;
    const unit = to === versions.main ? ref : { ...ref, name: versionedName(ref.name, to) };
    const problem = (await this.#parts.functions.get(unit))?.problem;
    return { ...listed, ...(problem !== undefined && { problem }) };
  }

  /** @throws {FaasError} `conflict` where the order does not fit to what is going on */
  async act(ref: FunctionRef, request: RolloutRequest, by: string | undefined): Promise<ListedRollout> {
    const { keeper } = this.#parts;
    return await this.#change(ref, async ({ versions }) => {
      const cause = this.#cause(request.reason ?? `${request.action} by hand`, by);
      const next = applyAction(versions, request, cause);
      await keeper.write(ref, versions, next);
      return rolloutOf(next);
    });
  }

  /**
   * Takes the next state of a rollout from who drives it.
   * @throws {FaasError} `conflict` when the generation is stale or it is another rollout's
   */
  async drive(ref: FunctionRef, { generation, rollout }: ListedRollout): Promise<ListedRollout> {
    const { keeper } = this.#parts;
    if (!rollout) throw new FaasError("invalid", "rollout: is required");
    return await this.#change(ref, async ({ versions }) => {
      demandGeneration(versions, generation);
      const next = driveRollout(
        versions,
        rollout,
        this.#cause(rollout.reason ?? `rollout is ${rollout.phase}`, undefined),
      );
      await keeper.write(ref, versions, next);
      return rolloutOf(next);
    });
  }

  #cause(reason: string, by: string | undefined): Cause {
    return { now: this.#parts.keeper.now, reason, by };
  }

  async #read(ref: FunctionRef): Promise<Known> {
    const known = ref.name.includes("@") ? undefined : await this.#parts.keeper.read(ref);
    if (!known) throw new FaasError("notFound", `function "${ref.name}" not found`, { code: "unknown_function" });
    return known;
  }

  async #change<T>(ref: FunctionRef, work: (known: Known) => Promise<T>): Promise<T> {
    const { turns, keeper, kick } = this.#parts;
    await this.#read(ref);
    const result = await turns.take(qualifiedName(ref), () =>
      keeper.change(ref, async (known) => {
        await keeper.restoreMain(known);
        return await work(known);
      }),
    );
    kick(ref);
    return result;
  }
}

function unknownVersion({ name }: FunctionRef, version: string): FaasError {
  return new FaasError("notFound", `there is no version ${version} of ${name}`, { code: "unknown_version" });
}

function lastCause({ history }: FunctionVersions): Cause {
  const { at = 0, reason = "", by } = history.at(-1) ?? {};
  return { now: at, reason, by };
}

/** Replicas of a version that serve. */
function readyOf(row: FunctionEndpoints | undefined, version: string): number {
  if (!row) return 0;
  const { endpoints, version: told = version } = row;
  return endpoints.filter((one) => one.state === "ready" && (one.version ?? told) === version).length;
}

/** @throws {FaasError} `conflict` */
function demandGeneration({ generation }: FunctionVersions, asked: number | undefined): void {
  if (asked === undefined || asked === generation) return;
  throw new FaasError("conflict", `generation: ${asked} is stale, it is ${generation} now; read it again`);
}

function isAllToLatest([first, ...others]: readonly TrafficTarget[]): boolean {
  return others.length === 0 && first?.version === "latest" && first.tag === undefined;
}

function trafficOf({ generation, traffic }: FunctionVersions): TrafficRequest {
  return { generation, targets: traffic ? [...traffic] : [{ version: "latest", share: WHOLE }] };
}

function rolloutOf({ generation, rollout }: FunctionVersions): ListedRollout {
  return { generation, ...(rollout && { rollout }) };
}

function differences({ versions }: FunctionVersions, diff: string): VersionDifference[] {
  const [, a, b] = /^(v\d+)\.\.(v\d+)$/.exec(diff) ?? [];
  if (a === undefined || b === undefined) throw new FaasError("invalid", "diff: must be two versions such as v2..v3");
  const [from, to] = [a, b].map((name) => versions.find(({ version }) => version === name));
  if (from && to) return diffContents(from.content, to.content);
  throw new FaasError("invalid", `diff: there is no version ${from ? b : a}`);
}

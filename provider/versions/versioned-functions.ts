import { FaasError } from "../../contract/errors.ts";
import {
  brokenRules,
  definitionProblems,
  type FunctionRef,
  type FunctionStatus,
  qualifiedName,
} from "../../contract/functions.ts";
import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { TRAFFIC } from "../../contract/versions/traffic.ts";
import { isVersion, parseVersionedName } from "../../contract/versions/version-name.ts";
import type { Logger } from "../../kit/log.ts";
import type {
  CallsInFlight,
  Declared,
  FunctionStore,
  ResolvedDeployment,
  SecretStore,
  VersionStore,
} from "../backends/backend.ts";
import { annotated } from "./annotated.ts";
import { contentOf, deploymentOf, sameContent, sourceOf } from "./content.ts";
import type { FunctionTurns } from "./function-turns.ts";
import { type Deploy, firstVersions, newVersion, planDeploy, requireVersions } from "./plan-deploy.ts";
import { amend } from "./resolve-targets.ts";
import { parseVersionSettings, readVersionSettings, type VersionSettings } from "./settings.ts";
import { contentNamed, newestOf, sleepingStatus, withContent } from "./shown-status.ts";
import { withSecretsRevision } from "./tracked-secrets.ts";
import { unitRef } from "./units.ts";
import type { Known, VersionKeeper } from "./version-keeper.ts";
import type { VersionView } from "./version-view.ts";

export interface VersionedFunctionsParts {
  readonly functions: FunctionStore;
  readonly secrets: Pick<SecretStore, "revision">;
  readonly store: VersionStore;
  readonly keeper: VersionKeeper;
  readonly view: VersionView;
  readonly turns: FunctionTurns;
  readonly log: Logger;
  /** Something has changed that what runs may have to follow. */
  kick(ref: FunctionRef): void;
}

interface Prepared {
  readonly own: ResolvedDeployment;
  /** Undefined when nothing changes. */
  readonly versions: FunctionVersions | undefined;
}

/** The functions of a backend, each with its versions: clients see one of each name. */
export class VersionedFunctions implements FunctionStore {
  readonly #parts: VersionedFunctionsParts;

  constructor(parts: VersionedFunctionsParts) {
    this.#parts = parts;
  }

  async list(namespace: string): Promise<FunctionStatus[]> {
    const all = await this.#parts.functions.list(namespace);
    const own = all.filter(({ name }) => !name.includes("@"));
    return await Promise.all(own.map((status) => this.#whole(status, { name: status.name, namespace })));
  }

  async get(ref: FunctionRef, usage = false): Promise<FunctionStatus | undefined> {
    const { functions, store } = this.#parts;
    const { name, version } = parseVersionedName(ref.name);
    const own = { name, namespace: ref.namespace };
    if (version === undefined) {
      const status = await functions.get(ref, usage);
      return status && (await this.#whole(status, own, usage));
    }
    const versions = await store.get(own);
    const known = versions?.versions.find((each) => each.version === version);
    if (!known) return undefined;
    if (version === versions?.main) return await functions.get(own, usage);
    const there = await functions.get(ref, usage);
    if (there) return there;
    const status = await functions.get(own);
    return status && sleepingStatus(ref, status, known.content);
  }

  async deployed(ref: FunctionRef): Promise<ResolvedDeployment | undefined> {
    return await this.#parts.functions.deployed?.(ref);
  }

  async create(asked: ResolvedDeployment): Promise<void> {
    const deployment = await withSecretsRevision(asked, this.#parts.secrets);
    const settings = parseVersionSettings(deployment.annotations);
    const ref = refOf(deployment);
    const { functions, turns } = this.#parts;
    await turns.take(qualifiedName(ref), async () => {
      const deploy = await this.#deployOf(deployment, settings);
      requireFirst(deploy);
      await functions.create({ ...asAsked(deployment), version: "v1", digest: deploy.content.digest });
      await this.#begin(ref, deploy);
    });
  }

  /** What is kept of a function that is new. */
  async #begin(ref: FunctionRef, deploy: Deploy): Promise<void> {
    // What an earlier function of the name may have left.
    await this.#parts.keeper.forget(ref);
    const { traffic } = deploy.settings;
    const first = { ...firstVersions(newVersion("v1", deploy)), ...(traffic && { traffic: [...traffic] }) };
    await this.#keep(ref, first, { now: deploy.now, reason: "v1 was deployed" });
  }

  /** The function is there already; should there be no room for what is kept of it, it is at its first version all the same. */
  async #keep(ref: FunctionRef, first: FunctionVersions, cause: Parameters<typeof amend>[2]): Promise<void> {
    try {
      await this.#parts.store.put(ref, amend(first, {}, cause), 0);
    } catch (err) {
      this.#parts.log.warn(
        { function: ref.name, namespace: ref.namespace, err },
        "could not keep a function's version",
      );
    }
  }

  async update(asked: ResolvedDeployment): Promise<void> {
    const deployment = await withSecretsRevision(asked, this.#parts.secrets);
    const settings = parseVersionSettings(deployment.annotations);
    const ref = refOf(deployment);
    const { functions, turns, keeper, kick } = this.#parts;
    await turns.take(qualifiedName(ref), async () => {
      // For it to say what is wrong with that.
      if (definitionProblems(deployment).length > 0 || !(await keeper.read(ref)))
        return await functions.update(asAsked(deployment));
      return await keeper.change(ref, (known) => this.#update(ref, deployment, settings, known));
    });
    kick(ref);
  }

  async #update(
    ref: FunctionRef,
    deployment: ResolvedDeployment,
    settings: VersionSettings,
    known: Known,
  ): Promise<void> {
    const deploy = await this.#deployOf(deployment, settings, known);
    const { own, versions } = await this.#prepare(ref, deployment, deploy, known);
    await this.#parts.functions.update(own);
    if (versions) await this.#parts.keeper.write(ref, known.versions, versions);
  }

  /** Sees to what is to be beside the function, and says what its own replicas are to run, and what is to be kept then. */
  async #prepare(ref: FunctionRef, deployment: ResolvedDeployment, deploy: Deploy, known: Known): Promise<Prepared> {
    const { keeper } = this.#parts;
    const asked = asAsked(deployment);
    const plan = planDeploy(known.versions, deploy);
    const { version, main, versions } = plan;
    if (plan.beside) {
      const { rollout } = versions ?? known.versions;
      const isMoving = rollout?.to === version.version && isUnderWay(rollout);
      await keeper.units.ensure(asked, version, isMoving ? keeper.warmth(ref, rollout) : 0);
    }
    const own =
      version.version === main.version
        ? { ...asked, version: version.version, digest: version.content.digest }
        : deploymentOf(asked, main);
    // With versions beside each other, what is said about them changes without a replica that starts or ends.
    const { beside } = deploy.settings;
    const keepsReplicas =
      sameContent(contentOf(known.present), main.content) &&
      (beside || plan.beside || known.versions.traffic !== undefined);
    return { own: { ...own, ...(keepsReplicas && { keepsReplicas }) }, versions };
  }

  async annotate(ref: FunctionRef, name: string, value: string | undefined): Promise<void> {
    const { functions, turns, keeper, kick } = this.#parts;
    const write = (known: Known) => functions.update(annotated(known, name, value));
    await turns.take(qualifiedName(ref), async () => await keeper.change(ref, write));
    kick(ref);
  }

  /** See `Backend.decideDeclared`: a deploy, of which somebody else writes what the function's own replicas run. */
  async declare(asked: ResolvedDeployment): Promise<Declared> {
    const deployment = await withSecretsRevision(asked, this.#parts.secrets);
    const settings = parseVersionSettings(deployment.annotations);
    const ref = refOf(deployment);
    const { turns, keeper, kick } = this.#parts;
    const inTurn = <T>(work: () => Promise<T>) => turns.take(qualifiedName(ref), work);
    return await inTurn(async () => {
      const known = await keeper.read(ref);
      const deploy = await this.#deployOf(deployment, settings, known);
      if (!known) {
        requireFirst(deploy);
        const own = { ...asAsked(deployment), version: "v1", digest: deploy.content.digest };
        return { deployment: own, written: () => inTurn(() => this.#begin(ref, deploy)) };
      }
      const { own } = await this.#prepare(ref, deployment, deploy, known);
      const written = async () => {
        await inTurn(() => keeper.change(ref, (now) => this.#note(ref, deploy, now), false));
        kick(ref);
      };
      return { deployment: own, written };
    });
  }

  async #note(ref: FunctionRef, deploy: Deploy, known: Known): Promise<void> {
    const { versions } = planDeploy(known.versions, deploy);
    if (versions) await this.#parts.keeper.write(ref, known.versions, versions);
  }

  async #deployOf(deployment: ResolvedDeployment, settings: VersionSettings, known?: Known): Promise<Deploy> {
    const digest = deployment.image === "" ? undefined : await this.#parts.functions.digestOf?.(deployment);
    const former = known && readVersionSettings(known.present.annotations).traffic;
    return {
      content: contentOf({ ...deployment, digest }),
      settings,
      formerTraffic: former,
      source: sourceOf(deployment),
      by: deployment.by,
      now: this.#parts.keeper.now,
    };
  }

  async warningsFor(asked: ResolvedDeployment): Promise<readonly string[]> {
    const { functions, secrets, store } = this.#parts;
    const deployment = await withSecretsRevision(asked, secrets);
    const warnings = (await functions.warningsFor?.(deployment)) ?? [];
    const versions = await store.get(refOf(deployment));
    const rollout = versions?.rollout;
    if (!versions || rollout?.phase !== "aborted" || rollout.to === versions.latest) return warnings;
    const content = contentOf({ ...deployment, digest: await functions.digestOf?.(deployment) });
    const given = versions.versions.find(({ version }) => version === rollout.to);
    if (!given || !sameContent(given.content, content)) return warnings;
    const why = `the rollout of ${rollout.to} was aborted (${rollout.reason ?? "by hand"}), and is not begun again for the same content`;
    return [...warnings, `${why}; promote it to send it all calls`];
  }

  async remove(ref: FunctionRef): Promise<void> {
    const { functions, keeper, turns } = this.#parts;
    if (ref.name.includes("@")) throw notFound(ref);
    await turns.take(qualifiedName(ref), async () => {
      await functions.remove(ref);
      await keeper.forget(ref);
    });
  }

  async scale(ref: FunctionRef, replicas: number, inFlight?: CallsInFlight): Promise<void> {
    const { functions, keeper, turns, view } = this.#parts;
    const { name, version } = parseVersionedName(ref.name);
    if (version === undefined) return await functions.scale(ref, replicas, inFlight);
    const own = { name, namespace: ref.namespace };
    const versions = await this.#parts.store.get(own);
    if (!isVersion(version) || !versions?.versions.some((each) => each.version === version)) throw notFound(ref);
    if (version === versions.main) return await functions.scale(own, replicas, inFlight);
    keeper.own(own, version);
    const running = view.rowOf(own, version)?.replicas;
    // One that sleeps may be taken away in this moment, so it is woken in turn.
    if (running !== undefined && (running > 0 || replicas === 0)) {
      try {
        return await functions.scale(ref, replicas, inFlight);
      } catch (error) {
        // It was taken away in this moment.
        if (!(error instanceof FaasError) || error.kind !== "notFound") throw error;
      }
    }
    if (replicas === 0) return undefined;
    return await turns.take(qualifiedName(own), async () => {
      const known = await keeper.read(own);
      const found = known?.versions.versions.find((each) => each.version === version);
      if (!known || !found) throw notFound(ref);
      await keeper.units.ensure(known.present, found, replicas);
    });
  }

  async digestOf(deployment: ResolvedDeployment): Promise<string | undefined> {
    return await this.#parts.functions.digestOf?.(deployment);
  }

  expedite(ref: FunctionRef): void {
    this.#parts.functions.expedite?.(ref);
  }

  /** One row for all of a function: what goes on is the newest version's, the replicas are those of all. */
  async #whole(status: FunctionStatus, ref: FunctionRef, usage = false): Promise<FunctionStatus> {
    const { functions, store, view } = this.#parts;
    const versions = await store.get(ref);
    const besides = view.besideOf(ref);
    if (!versions || (besides.length === 0 && versions.latest === versions.main)) return status;
    const rows = besides.flatMap((version) => view.rowOf(ref, version) ?? []);
    const replicas = rows.reduce((sum, row) => sum + row.replicas, status.replicas ?? 0);
    const ready = rows.flatMap(({ endpoints }) => endpoints.filter(({ state }) => state === "ready")).length;
    const available = ready + (status.availableReplicas ?? 0);
    const newest = newestOf(versions);
    const shown = newest === versions.main ? status : withContent(status, contentNamed(versions, newest));
    const used = usage && status.usage ? await this.#usage(functions, ref, besides, status.usage) : status.usage;
    const { replicas: _r, availableReplicas: _a, usage: _u, ...rest } = shown;
    return {
      ...rest,
      ...(replicas > 0 && { replicas }),
      ...(available > 0 && { availableReplicas: available }),
      ...(used && { usage: used }),
    };
  }

  async #usage(
    functions: FunctionStore,
    ref: FunctionRef,
    besides: readonly string[],
    own: NonNullable<FunctionStatus["usage"]>,
  ): Promise<FunctionStatus["usage"]> {
    const all = await Promise.all(besides.map((version) => functions.get(unitRef(ref, version), true)));
    const usages = [own, ...all.flatMap((status) => status?.usage ?? [])];
    const sum = (field: "cpu" | "totalMemoryBytes") => usages.reduce((total, usage) => total + (usage[field] ?? 0), 0);
    return { cpu: sum("cpu"), totalMemoryBytes: sum("totalMemoryBytes") };
  }
}

/** @throws {FaasError} `invalid` when the traffic of a new function names versions that it does not have */
function requireFirst(deploy: Deploy): void {
  const { traffic } = deploy.settings;
  if (traffic) requireVersions(firstVersions(newVersion("v1", deploy)), traffic, TRAFFIC);
}

function refOf({ service: name, namespace }: ResolvedDeployment): FunctionRef {
  return { name, namespace };
}

/** As its sender may have it: names with a version in them are ours. */
function asAsked({
  by: _by,
  version: _version,
  digest: _digest,
  keepsReplicas: _keeps,
  ...deployment
}: ResolvedDeployment): ResolvedDeployment {
  if (deployment.service.includes("@")) throw brokenRules(definitionProblems(deployment));
  return deployment;
}

function notFound({ name }: FunctionRef): FaasError {
  return new FaasError("notFound", `function "${name}" not found`);
}

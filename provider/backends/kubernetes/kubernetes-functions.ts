import type { V1Deployment, V1Scale, V1Service } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import {
  definitionProblems,
  type FunctionRef,
  type FunctionStatus,
  qualifiedName,
} from "../../../contract/functions.ts";
import { timeoutWarnings } from "../../../contract/timeouts.ts";
import type { FunctionVersions } from "../../../contract/versions/function-versions.ts";
import type { Logger } from "../../../kit/log.ts";
import type { CallsInFlight, Declared, FunctionStore, ResolvedDeployment } from "../backend.ts";
import { networkWarnings } from "../network-annotation.ts";
import type { InformerCache } from "./cache/informer-cache.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { FunctionFinder } from "./function-finder.ts";
import { type FunctionObjects, withFunction } from "./function-objects.ts";
import { FunctionWriter, isFunctionService, type Purpose, type WrittenObjects } from "./function-writer.ts";
import { ImageDigests } from "./image-digests.ts";
import { writeDeletionCosts } from "./pods/deletion-costs.ts";
import { readPodUsage } from "./pods/usage.ts";
import { readResourceContext } from "./resource-context.ts";
import { checkDeployment } from "./resources/check.ts";
import { definitionOf, mainDefinition, staysAsWritten } from "./resources/definition.ts";
import { readDeployed } from "./resources/deployed.ts";
import {
  type FunctionObject,
  functionProblems,
  functionToDeployment,
  readFunctionStatus,
} from "./resources/function-object.ts";
import { ownerReference } from "./resources/owner.ts";
import { type Profile, profileNames } from "./resources/profile.ts";
import { isFunction, isVersionDeployment } from "./resources/read-deployment.ts";
import type { DigestRule, ResourceContext, ResourceSettings } from "./resources/settings.ts";
import { isVersionUnit, objectName } from "./resources/version-unit.ts";
import { VersionUnits } from "./version-units.ts";
import { WriteLocks } from "./write-locks.ts";

export interface FunctionsOptions {
  readonly client: KubernetesClient;
  readonly cache: InformerCache;
  readonly settings: ResourceSettings;
  readonly profilesNamespace: string;
  readonly log: Pick<Logger, "warn">;
  /** Where replicas report that they listen. */
  readonly announceUrl?: URL;
  /** @throws {FaasError} `invalid` for an unknown namespace, `unavailable` when closed or without a cache */
  requireNamespace(name: string): Promise<void>;
  /** @throws {FaasError} `unavailable` when closed or without a cache */
  ready(): Promise<void>;
  /** Whether functions may live there; what is elsewhere is none of ours, whatever it looks like. */
  hasNamespace(name: string): boolean;
  readonly imageDigests: DigestRule;
  /** Absent: functions are Deployments and Services only. */
  readonly objects?: FunctionObjects;
  /** What is kept of a function's versions, as far as it has been seen. @throws {FaasError} `conflict` for what cannot be read */
  versionsOf(ref: FunctionRef): FunctionVersions | undefined;
  /** A deploy has written a Function and its objects. */
  onApplied?(applied: AppliedFunction): void;
}

/** A Function and its objects, as they are after a write. */
export interface AppliedFunction extends WrittenObjects {
  readonly object: FunctionObject;
  /** Those that it names, in that order. */
  readonly profiles: readonly Profile[];
}

export interface Reconciliation {
  readonly purpose: Exclude<Purpose, "deploy">;
  readonly fresh: boolean;
}

type Decide = (deployment: ResolvedDeployment) => Promise<Declared>;

/** What has been decided about a generation of a Function. */
interface Decided extends Declared {
  readonly generation: number | undefined;
}

/** Functions as Deployments with a Service each, written by server-side apply. */
export class KubernetesFunctions implements FunctionStore {
  readonly #options: FunctionsOptions;
  readonly #finder: FunctionFinder;
  readonly #writer: FunctionWriter;
  readonly #units: VersionUnits;
  readonly #digests: ImageDigests;
  readonly #locks = new WriteLocks();
  #decide: Decide | undefined;

  constructor(options: FunctionsOptions) {
    this.#options = options;
    this.#finder = new FunctionFinder(options);
    this.#writer = new FunctionWriter(options);
    this.#digests = new ImageDigests(options);
    this.#units = new VersionUnits({ ...options, writer: this.#writer, find: (ref) => this.#finder.deployment(ref) });
  }

  async list(namespace: string): Promise<FunctionStatus[]> {
    await this.#options.requireNamespace(namespace);
    const { cache } = this.#options;
    return cache.names(namespace).flatMap((name) => cache.status({ name, namespace }) ?? []);
  }

  async get(ref: FunctionRef, usage = false): Promise<FunctionStatus | undefined> {
    await this.#options.ready();
    const { cache, client, hasNamespace } = this.#options;
    if (!hasNamespace(ref.namespace)) return undefined;
    // Another provider may have made it just now; what is not there is asked for seldom.
    const unseen = cache.find(ref) ? undefined : await this.#finder.lookUp(ref);
    // A Function whose objects could not be made says why.
    if (unseen) return unseen.object && readFunctionStatus(unseen.object);
    return cache.status(ref, usage ? await readPodUsage(client, ref) : undefined);
  }

  async deployed(ref: FunctionRef): Promise<ResolvedDeployment | undefined> {
    await this.#options.ready();
    const { cache, hasNamespace } = this.#options;
    if (!hasNamespace(ref.namespace)) return undefined;
    const found = cache.find(ref) ?? (await this.#finder.deployment(ref));
    if (found) return readDeployed(found);
    // A Deployment that somebody has deleted is about to be made anew.
    const object = await this.#finder.object(ref);
    return object && mainDefinition(object, this.#options.versionsOf(ref));
  }

  async create(deployment: ResolvedDeployment): Promise<void> {
    const { namespace, service: name } = deployment;
    const { client, objects, requireNamespace } = this.#options;
    await requireNamespace(namespace);
    await this.#locks.take({ name, namespace }, async () => {
      if (isVersionUnit(name)) return await this.#units.create(deployment);
      const taken = (cause?: unknown) =>
        new FaasError("conflict", `unable to create function: ${name}.${namespace} already exists`, { cause });
      // Together, as each takes its time where the API server is slow.
      const [existing, around] = await Promise.all([
        isSound(deployment) ? client.find<V1Deployment>(apiPath.deployment(namespace, name)) : undefined,
        readResourceContext(deployment, this.#options),
      ]);
      if (existing) throw taken();
      checkDeployment(deployment, around);
      const written = await objects?.create(deployment).catch((error: unknown) => {
        throw hasStatus(error, 409) ? taken(error) : error;
      });
      await withFunction(written, async (object) => {
        const definition = definitionOf(deployment, object);
        this.#tell(object, around, deployment, await this.#writer.create(definition, ownedBy(around, object)));
      });
    });
  }

  async update(deployment: ResolvedDeployment): Promise<void> {
    const { namespace, service: name } = deployment;
    const { objects, requireNamespace } = this.#options;
    await requireNamespace(namespace);
    const ref = { name, namespace };
    await this.#locks.take(ref, async () => {
      if (isVersionUnit(name)) return await this.#units.update(deployment);
      if (isSound(deployment) && !(await this.#finder.deployment(ref)) && !(await this.#finder.object(ref))) {
        const why = `unable to update function: ${name}.${namespace}, error: function "${name}" not found`;
        throw new FaasError("notFound", why);
      }
      const around = await readResourceContext(deployment, this.#options);
      checkDeployment(deployment, around);
      const stays = (object: FunctionObject) => staysAsWritten(object, deployment, this.#options.versionsOf(ref));
      await withFunction(await objects?.write(deployment, stays), async (object) => {
        const definition = definitionOf(deployment, object);
        const written = await this.#writer.retryOnConflict(async (mayAdopt) => {
          const existing = await this.#finder.deployment(ref);
          return await this.#write(existing, definition, ownedBy(around, object), { purpose: "deploy", mayAdopt });
        });
        this.#tell(object, around, deployment, written);
      });
    });
  }

  /** See `Backend.decideDeclared`. */
  decideDeclared(decide: Decide): void {
    this.#decide = decide;
  }

  async warningsFor(deployment: ResolvedDeployment): Promise<readonly string[]> {
    const { envVars = {}, annotations } = deployment;
    return [...timeoutWarnings(envVars, annotations), ...networkWarnings(deployment)];
  }

  /**
   * Makes the objects of a Function what it says; undefined when there is no such Function.
   * @param fresh whether somebody has written it who is no provider, and nobody has acted on that
   * @throws {FaasError} `unavailable` when that may work later; anything else says what is wrong with it
   */
  async reconcile(
    ref: FunctionRef,
    { purpose, fresh }: Reconciliation,
    signal: AbortSignal,
  ): Promise<AppliedFunction | undefined> {
    const { client, cache } = this.#options;
    // Before its turn: who decides may be waiting for that, with a deploy.
    const decided = fresh ? await this.#decideAbout(ref) : undefined;
    const applied = await this.#locks.take(ref, () =>
      this.#writer.retryOnConflict(async (mayAdopt) => {
        // Before the Function: a deploy writes that first, so that what there is can never be newer than what is wanted.
        const existing = await client.find<V1Deployment>(apiPath.deployment(ref.namespace, ref.name));
        const object = await this.#finder.object(ref);
        if (!object) return undefined;
        requireSound(object);
        if (existing && (!isFunction(existing) || isVersionDeployment(existing))) {
          throw new FaasError("conflict", `deployment ${ref.name} exists and is not a function's`);
        }
        if (existing?.metadata?.deletionTimestamp) {
          throw new FaasError("unavailable", `deployment ${ref.name} is still being removed`);
        }
        // The resource context knows its token by that.
        if (existing) cache.observeWrite(existing);
        if (decided && decided.generation !== object.metadata.generation)
          throw new FaasError("unavailable", `Function ${ref.name} has been changed again meanwhile`);
        const deployment = decided?.deployment ?? mainDefinition(object, this.#options.versionsOf(ref));
        const around = await readResourceContext(deployment, this.#options);
        checkDeployment(deployment, around);
        if (signal.aborted) throw new FaasError("unavailable", "another provider acts on Functions now");
        const written = await this.#write(existing, deployment, ownedBy(around, object), { purpose, mayAdopt });
        return { object, profiles: profilesOf(deployment, around), ...written };
      }),
    );
    if (applied) await decided?.written();
    return applied;
  }

  async #decideAbout(ref: FunctionRef): Promise<Decided | undefined> {
    const object = this.#decide && (await this.#finder.object(ref));
    if (!object) return undefined;
    requireSound(object);
    const declared = await this.#decide?.(functionToDeployment(object));
    return declared && { ...declared, generation: object.metadata.generation };
  }

  async remove(ref: FunctionRef): Promise<void> {
    await this.#options.ready();
    if (!this.#options.hasNamespace(ref.namespace)) throw notFound(ref);
    await this.#locks.take(ref, async () => {
      if (isVersionUnit(ref.name)) return await this.#units.remove(ref);
      const { client, cache, objects } = this.#options;
      const [existing, object] = [await this.#finder.deployment(ref), await this.#finder.object(ref)];
      if (!existing && !object) throw notFound(ref);
      // First, or its objects would be made anew.
      if (object) await objects?.remove(object);
      if (existing) {
        await client.remove(apiPath.deployment(ref.namespace, ref.name), existing.metadata?.uid).catch(ignoreGone);
        cache.forget(existing);
      }
      const service = await client.find<V1Service>(apiPath.service(ref.namespace, ref.name));
      if (!service || !isFunctionService(service)) return;
      await client.remove(apiPath.service(ref.namespace, ref.name), service.metadata?.uid).catch(ignoreGone);
    });
  }

  async scale(ref: FunctionRef, replicas: number, inFlight?: CallsInFlight): Promise<void> {
    await this.#options.ready();
    const { client, cache, settings, hasNamespace } = this.#options;
    if (!hasNamespace(ref.namespace)) throw notFound(ref);
    if (!Number.isSafeInteger(replicas) || replicas < 0) {
      throw new FaasError("invalid", `replicas: ${replicas} is not a whole number of at least 0`);
    }
    if (replicas > settings.maxReplicas) {
      throw new FaasError("invalid", `replicas: ${replicas} is over the limit of ${settings.maxReplicas}`);
    }
    const known = cache.find(ref) ?? (await this.#finder.deployment(ref));
    if (!known) throw notFound(ref);
    const before = known.spec?.replicas ?? 1;
    if (before === replicas && cache.find(ref)) return;
    // At zero all go, in whatever order.
    if (inFlight && replicas > 0 && replicas < before) {
      await writeDeletionCosts(ref, cache.podsOf(ref), inFlight, this.#options);
    }
    try {
      const path = apiPath.scale(ref.namespace, objectName(ref.name));
      const scaling = () => client.mergePatch<V1Scale>(path, { spec: { replicas } });
      const { metadata } = await this.#writer.retryOnConflict(scaling);
      cache.observeReplicas(ref, replicas, metadata?.resourceVersion);
    } catch (cause) {
      throw hasStatus(cause, 404) ? notFound(ref, cause) : cause;
    }
  }

  async digestOf(deployment: ResolvedDeployment): Promise<string | undefined> {
    return await this.#digests.find(deployment);
  }

  /** One attempt, to be repeated on a conflict. */
  async #write(
    existing: V1Deployment | undefined,
    deployment: ResolvedDeployment,
    around: ResourceContext,
    how: { readonly purpose: Purpose; readonly mayAdopt: boolean },
  ): Promise<WrittenObjects> {
    if (!existing) return await this.#writer.create(deployment, around);
    const applied = await this.#writer.applyDeployment(existing, deployment, around, how);
    const { service, changed } = await this.#writer.applyService(deployment, around, how.purpose);
    return { deployment: applied, service, changed: changed || applied !== existing };
  }

  #tell(
    object: FunctionObject | undefined,
    around: ResourceContext,
    deployment: ResolvedDeployment,
    written: WrittenObjects,
  ): void {
    if (object) this.#options.onApplied?.({ object, profiles: profilesOf(deployment, around), ...written });
  }
}

function notFound(ref: FunctionRef, cause?: unknown): FaasError {
  return new FaasError("notFound", `function ${qualifiedName(ref)} not found`, { cause });
}

/** Whether its name and image keep their rules; otherwise it is refused for them, whether or not it exists. */
function isSound(deployment: ResolvedDeployment): boolean {
  return definitionProblems(deployment).length === 0;
}

/** @throws {FaasError} `invalid` */
function requireSound(object: FunctionObject): void {
  const problems = functionProblems(object);
  if (problems.length > 0) throw new FaasError("invalid", problems.join("; "));
}

/** Its owner may have taken it along, or somebody else was faster. */
function ignoreGone(error: unknown): void {
  if (!hasStatus(error, 404)) throw error;
}

function ownedBy(around: ResourceContext, object: FunctionObject | undefined): ResourceContext {
  const owner = object && ownerReference(object);
  return owner ? { ...around, owner } : around;
}

function profilesOf({ annotations }: ResolvedDeployment, { profiles }: ResourceContext): Profile[] {
  return profileNames(annotations).flatMap((name) => profiles.get(name) ?? []);
}

import type { V1Deployment, V1Scale, V1Service } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import {
  definitionProblems,
  type FunctionRef,
  type FunctionStatus,
  isFunctionName,
  qualifiedName,
} from "../../../contract/functions.ts";
import { timeoutWarnings } from "../../../contract/timeouts.ts";
import type { Logger } from "../../../kit/log.ts";
import type { CallsInFlight, FunctionStore, ResolvedDeployment } from "../backend.ts";
import { networkWarnings } from "../network-annotation.ts";
import type { InformerCache } from "./cache/informer-cache.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { type FunctionObjects, withFunction } from "./function-objects.ts";
import { FunctionWriter, isFunctionService, type Purpose, type WrittenObjects } from "./function-writer.ts";
import { ImageDigests } from "./image-digests.ts";
import { writeDeletionCosts } from "./pods/deletion-costs.ts";
import { readPodUsage } from "./pods/usage.ts";
import { readResourceContext } from "./resource-context.ts";
import { checkDeployment } from "./resources/check.ts";
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
import { isUnitName, isVersionUnit, objectName, unitOfDeployment } from "./resources/version-unit.ts";
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
  /** A deploy has written a Function and its objects. */
  onApplied?(applied: AppliedFunction): void;
}

/** A Function and its objects, as they are after a write. */
export interface AppliedFunction extends WrittenObjects {
  readonly object: FunctionObject;
  /** Those that it names, in that order. */
  readonly profiles: readonly Profile[];
}

/** A function without a Deployment, which is a Function at best. */
interface Unseen {
  readonly object: FunctionObject | undefined;
}

/** Functions as Deployments with a Service each, written by server-side apply. */
export class KubernetesFunctions implements FunctionStore {
  readonly #options: FunctionsOptions;
  readonly #writer: FunctionWriter;
  readonly #units: VersionUnits;
  readonly #digests: ImageDigests;
  readonly #locks = new WriteLocks();
  readonly #lookUps = new Map<string, Promise<Unseen | undefined>>();

  constructor(options: FunctionsOptions) {
    this.#options = options;
    this.#writer = new FunctionWriter(options);
    this.#digests = new ImageDigests(options);
    this.#units = new VersionUnits({ ...options, writer: this.#writer, find: (ref) => this.#find(ref) });
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
    const unseen = cache.find(ref) ? undefined : await this.#lookUp(ref);
    // A Function whose objects could not be made says why.
    if (unseen) return unseen.object && readFunctionStatus(unseen.object);
    return cache.status(ref, usage ? await readPodUsage(client, ref) : undefined);
  }

  async deployed(ref: FunctionRef): Promise<ResolvedDeployment | undefined> {
    await this.#options.ready();
    const { cache, hasNamespace } = this.#options;
    if (!hasNamespace(ref.namespace)) return undefined;
    const found = cache.find(ref) ?? (await this.#find(ref));
    return found && readDeployed(found);
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
      if (isSound(deployment) && !(await this.#find(ref)) && !(await this.#findObject(ref))) {
        const why = `unable to update function: ${name}.${namespace}, error: function "${name}" not found`;
        throw new FaasError("notFound", why);
      }
      const around = await readResourceContext(deployment, this.#options);
      checkDeployment(deployment, around);
      await withFunction(await objects?.write(deployment), async (object) => {
        const definition = definitionOf(deployment, object);
        const written = await this.#writer.retryOnConflict(async (mayAdopt) => {
          const existing = await this.#find(ref);
          return await this.#write(existing, definition, ownedBy(around, object), { purpose: "deploy", mayAdopt });
        });
        this.#tell(object, around, deployment, written);
      });
    });
  }

  async warningsFor(deployment: ResolvedDeployment): Promise<readonly string[]> {
    const { envVars = {}, annotations } = deployment;
    return [...timeoutWarnings(envVars, annotations), ...networkWarnings(deployment)];
  }

  /**
   * Makes the objects of a Function what it says; undefined when there is no such Function.
   * @throws {FaasError} `unavailable` when that may work later; anything else says what is wrong with it
   */
  async reconcile(
    ref: FunctionRef,
    purpose: Exclude<Purpose, "deploy">,
    signal: AbortSignal,
  ): Promise<AppliedFunction | undefined> {
    const { client, cache } = this.#options;
    return await this.#locks.take(ref, () =>
      this.#writer.retryOnConflict(async (mayAdopt) => {
        // Before the Function: a deploy writes that first, so that what there is can never be newer than what is wanted.
        const existing = await client.find<V1Deployment>(apiPath.deployment(ref.namespace, ref.name));
        const object = await this.#findObject(ref);
        if (!object) return undefined;
        const problems = functionProblems(object);
        if (problems.length > 0) throw new FaasError("invalid", problems.join("; "));
        if (existing && (!isFunction(existing) || isVersionDeployment(existing))) {
          throw new FaasError("conflict", `deployment ${ref.name} exists and is not a function's`);
        }
        if (existing?.metadata?.deletionTimestamp) {
          throw new FaasError("unavailable", `deployment ${ref.name} is still being removed`);
        }
        // The resource context knows its token by that.
        if (existing) cache.observeWrite(existing);
        const deployment = functionToDeployment(object);
        const around = await readResourceContext(deployment, this.#options);
        checkDeployment(deployment, around);
        if (signal.aborted) throw new FaasError("unavailable", "another provider acts on Functions now");
        const written = await this.#write(existing, deployment, ownedBy(around, object), { purpose, mayAdopt });
        return { object, profiles: profilesOf(deployment, around), ...written };
      }),
    );
  }

  async remove(ref: FunctionRef): Promise<void> {
    await this.#options.ready();
    if (!this.#options.hasNamespace(ref.namespace)) throw notFound(ref);
    await this.#locks.take(ref, async () => {
      if (isVersionUnit(ref.name)) return await this.#units.remove(ref);
      const { client, cache, objects } = this.#options;
      const [existing, object] = [await this.#find(ref), await this.#findObject(ref)];
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
    const known = cache.find(ref) ?? (await this.#require(ref));
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

  /** Asks for what is not in the cache, once for all who want to know meanwhile. Undefined when it is there now. */
  async #lookUp(ref: FunctionRef): Promise<Unseen | undefined> {
    const key = qualifiedName(ref);
    const look = async () => ((await this.#find(ref)) ? undefined : { object: await this.#findObject(ref) });
    const asked = this.#lookUps.get(key) ?? look().finally(() => this.#lookUps.delete(key));
    this.#lookUps.set(key, asked);
    return await asked;
  }

  async #find(ref: FunctionRef): Promise<V1Deployment | undefined> {
    if (!isUnitName(ref.name) || !isFunctionName(`n${ref.namespace}`)) return undefined;
    const { client, cache } = this.#options;
    const found = await client.find<V1Deployment>(apiPath.deployment(ref.namespace, objectName(ref.name)));
    if (!found || !isFunction(found) || found.metadata?.deletionTimestamp) return undefined;
    // That of a version is none of the function that is called like it.
    if (unitOfDeployment(found.metadata ?? {}) !== ref.name) return undefined;
    cache.observeWrite(found);
    return found;
  }

  async #require(ref: FunctionRef, why?: string): Promise<V1Deployment> {
    const found = await this.#find(ref);
    if (!found) throw why === undefined ? notFound(ref) : new FaasError("notFound", why);
    return found;
  }

  async #findObject(ref: FunctionRef): Promise<FunctionObject | undefined> {
    return isFunctionName(ref.name) ? await this.#options.objects?.find(ref) : undefined;
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

/** Its owner may have taken it along, or somebody else was faster. */
function ignoreGone(error: unknown): void {
  if (!hasStatus(error, 404)) throw error;
}

function ownedBy(around: ResourceContext, object: FunctionObject | undefined): ResourceContext {
  const owner = object && ownerReference(object);
  return owner ? { ...around, owner } : around;
}

/** The Function's present spec counts, so that a later reconciliation builds the very same objects. */
function definitionOf(deployment: ResolvedDeployment, object: FunctionObject | undefined): ResolvedDeployment {
  if (!object) return deployment;
  const { version, digest } = deployment;
  return { ...functionToDeployment(object), ...(version !== undefined && { version }), ...(digest && { digest }) };
}

function profilesOf({ annotations }: ResolvedDeployment, { profiles }: ResourceContext): Profile[] {
  return profileNames(annotations).flatMap((name) => profiles.get(name) ?? []);
}

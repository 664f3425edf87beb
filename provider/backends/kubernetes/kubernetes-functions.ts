import type { V1Deployment, V1Scale, V1Service } from "@kubernetes/client-node";
import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, type FunctionStatus, isFunctionName, qualifiedName } from "../../contract/functions.ts";
import type { FunctionStore, ResolvedDeployment } from "../backend.ts";
import { hasStatus } from "./api-error.ts";
import type { KubernetesClient } from "./kubernetes-client.ts";
import { apiPath } from "./paths.ts";
import type { Picture } from "./picture.ts";
import { adoptFields } from "./resources/adopt.ts";
import { checkDeployment } from "./resources/check.ts";
import { buildDeployment, initialReplicas, withReplicas } from "./resources/deployment.ts";
import { FUNCTION_LABEL } from "./resources/names.ts";
import { planUpdate, serviceNeedsApply } from "./resources/plan-update.ts";
import { isFunction } from "./resources/read-deployment.ts";
import { buildService } from "./resources/service.ts";
import type { ResourceSettings } from "./resources/settings.ts";
import { readSurroundings } from "./surroundings.ts";
import { measureUsage } from "./usage.ts";

export interface FunctionsOptions {
  readonly client: KubernetesClient;
  readonly picture: Picture;
  readonly settings: ResourceSettings;
  readonly profilesNamespace: string;
  /** @throws {FaasError} `invalid` for an unknown namespace, `unavailable` when closed or without a picture */
  requireNamespace(name: string): Promise<void>;
  /** @throws {FaasError} `unavailable` when closed or without a picture */
  ready(): Promise<void>;
  /** Whether functions may live there; what is elsewhere is none of ours, whatever it looks like. */
  hasNamespace(name: string): boolean;
}

/** How often to plan anew when somebody else writes the same object. */
const ATTEMPTS = 8;

/** Functions as Deployments with a Service each, written by server-side apply. */
export class KubernetesFunctions implements FunctionStore {
  readonly #options: FunctionsOptions;
  /** The last write of each function in this process, for the next to wait for. */
  readonly #writes = new Map<string, Promise<void>>();

  constructor(options: FunctionsOptions) {
    this.#options = options;
  }

  async list(namespace: string): Promise<FunctionStatus[]> {
    await this.#options.requireNamespace(namespace);
    const { picture } = this.#options;
    return picture.names(namespace).flatMap((name) => picture.status({ name, namespace }) ?? []);
  }

  async get(ref: FunctionRef, usage = false): Promise<FunctionStatus | undefined> {
    await this.#options.ready();
    const { picture, client, hasNamespace } = this.#options;
    if (!hasNamespace(ref.namespace)) return undefined;
    // Another provider may have made it just now; what is not there is asked for seldom.
    if (!picture.find(ref) && !(await this.#find(ref))) return undefined;
    return picture.status(ref, usage ? await measureUsage(client, ref) : undefined);
  }

  async create(deployment: ResolvedDeployment): Promise<void> {
    const { namespace, service: name } = deployment;
    await this.#options.requireNamespace(namespace);
    await this.#alone({ name, namespace }, async () => {
      const { client, picture, settings } = this.#options;
      if (isFunctionName(name) && (await client.find<V1Deployment>(apiPath.deployment(namespace, name)))) {
        throw new FaasError("conflict", `unable to create function: ${name}.${namespace} already exists`);
      }
      const around = await readSurroundings(deployment, this.#options);
      checkDeployment(deployment, around);
      const desired = buildDeployment(deployment, around);
      // First, as it may be somebody else's; without a Deployment it does no harm.
      await this.#applyService(deployment);
      const whole = withReplicas(desired, initialReplicas(deployment, settings.maxReplicas));
      picture.learn(await client.apply<V1Deployment>(apiPath.deployment(namespace, name), whole));
    });
  }

  async update(deployment: ResolvedDeployment): Promise<void> {
    const { namespace, service: name } = deployment;
    await this.#options.requireNamespace(namespace);
    const ref = { name, namespace };
    await this.#alone(ref, async () => {
      const why = `unable to update function: ${name}.${namespace}, error: function "${name}" not found`;
      await this.#require(ref, why);
      const around = await readSurroundings(deployment, this.#options);
      checkDeployment(deployment, around);
      const desired = buildDeployment(deployment, around);
      await this.#insist(async (mayAdopt) => {
        const existing = await this.#require(ref, why);
        await this.#applyDeployment(existing, desired, deployment, mayAdopt);
      });
      await this.#applyService(deployment);
    });
  }

  async remove(ref: FunctionRef): Promise<void> {
    await this.#options.ready();
    if (!this.#options.hasNamespace(ref.namespace)) throw notFound(ref);
    await this.#alone(ref, async () => {
      const { client, picture } = this.#options;
      const existing = await this.#require(ref);
      const path = apiPath.deployment(ref.namespace, ref.name);
      await client.remove(path, existing.metadata?.uid);
      picture.unlearn(existing);
      const service = await client.find<V1Service>(apiPath.service(ref.namespace, ref.name));
      if (!service || !isOurs(service)) return;
      await client.remove(apiPath.service(ref.namespace, ref.name), service.metadata?.uid).catch((error: unknown) => {
        // Its owner may have taken it along.
        if (!hasStatus(error, 404)) throw error;
      });
    });
  }

  async scale(ref: FunctionRef, replicas: number): Promise<void> {
    await this.#options.ready();
    const { client, picture, settings, hasNamespace } = this.#options;
    if (!hasNamespace(ref.namespace)) throw notFound(ref);
    if (!Number.isSafeInteger(replicas) || replicas < 0) {
      throw new FaasError("invalid", `replicas: ${replicas} is not a whole number of at least 0`);
    }
    if (replicas > settings.maxReplicas) {
      throw new FaasError("invalid", `replicas: ${replicas} is over the limit of ${settings.maxReplicas}`);
    }
    const known = picture.find(ref) ?? (await this.#require(ref));
    if (known.spec?.replicas === replicas && picture.find(ref)) return;
    try {
      const path = apiPath.scale(ref.namespace, ref.name);
      const { metadata } = await client.mergePatch<V1Scale>(path, { spec: { replicas } });
      picture.learnReplicas(ref, replicas, metadata?.resourceVersion);
    } catch (cause) {
      throw hasStatus(cause, 404) ? notFound(ref, cause) : cause;
    }
  }

  async #find(ref: FunctionRef): Promise<V1Deployment | undefined> {
    if (!isFunctionName(ref.name) || !isFunctionName(`n${ref.namespace}`)) return undefined;
    const { client, picture } = this.#options;
    const found = await client.find<V1Deployment>(apiPath.deployment(ref.namespace, ref.name));
    if (!found || !isFunction(found) || found.metadata?.deletionTimestamp) return undefined;
    picture.learn(found);
    return found;
  }

  async #require(ref: FunctionRef, why?: string): Promise<V1Deployment> {
    const found = await this.#find(ref);
    if (!found) throw why === undefined ? notFound(ref) : new FaasError("notFound", why);
    return found;
  }

  async #applyDeployment(
    existing: V1Deployment,
    desired: V1Deployment,
    { namespace, service: name, labels }: ResolvedDeployment,
    mayAdopt: boolean,
  ): Promise<void> {
    const { client, picture, settings } = this.#options;
    const path = apiPath.deployment(namespace, name);
    const how = { maxReplicas: settings.maxReplicas, deploying: true };
    const plan = planUpdate(existing, desired, labels ? { labels } : {}, how);
    if (plan.kind === "unchanged") return;
    if (plan.managedFields && mayAdopt) {
      await adopt(client, path, existing, plan.managedFields);
      // What there is has changed by that, so that the plan is made anew.
      throw new Superseded();
    }
    picture.learn(await client.apply<V1Deployment>(path, plan.deployment));
  }

  async #applyService(deployment: ResolvedDeployment): Promise<void> {
    const { client } = this.#options;
    const path = apiPath.service(deployment.namespace, deployment.service);
    const desired = buildService(deployment);
    await this.#insist(async (mayAdopt) => {
      const existing = await client.find<V1Service>(path);
      if (existing && !isOurs(existing)) {
        throw new FaasError("conflict", `service ${deployment.service} exists and is not a function's`);
      }
      if (existing && !serviceNeedsApply(existing, desired)) return;
      const managedFields = existing?.metadata && adoptFields(existing.metadata);
      if (existing && managedFields && mayAdopt) {
        await adopt(client, path, existing, managedFields);
        throw new Superseded();
      }
      await client.apply(path, desired);
    });
  }

  /**
   * Tries again when somebody else was faster, or after a take-over. An API server that does not let us take over may
   * keep what our predecessor left behind; the deploy goes on all the same.
   */
  async #insist(work: (mayAdopt: boolean) => Promise<void>): Promise<void> {
    let mayAdopt = true;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await work(mayAdopt);
        return;
      } catch (error) {
        if (attempt >= ATTEMPTS || !(error instanceof Superseded || hasStatus(error, 409))) throw error;
        if (error instanceof Superseded) mayAdopt = false;
      }
    }
  }

  /** One write of a function at a time, so that of two creates one is told of the other. */
  async #alone(ref: FunctionRef, work: () => Promise<void>): Promise<void> {
    const key = qualifiedName(ref);
    const earlier = this.#writes.get(key) ?? Promise.resolve();
    const done = earlier.then(work);
    // The next one runs whether or not this one fails; its caller gets the failure.
    const settled = done.then(
      () => {},
      () => {},
    );
    this.#writes.set(key, settled);
    try {
      await done;
    } finally {
      if (this.#writes.get(key) === settled) this.#writes.delete(key);
    }
  }
}

/** Something has been written that a plan did not know of. */
class Superseded extends FaasError {
  constructor() {
    super("conflict", "somebody else keeps changing the function; try again");
  }
}

function notFound(ref: FunctionRef, cause?: unknown): FaasError {
  return new FaasError("notFound", `function ${qualifiedName(ref)} not found`, { cause });
}

function isOurs({ metadata, spec }: V1Service): boolean {
  return spec?.selector?.[FUNCTION_LABEL] === metadata?.name;
}

/** Takes over the fields of who made an object before us; fails with a conflict when it has changed since. */
async function adopt(
  client: Pick<KubernetesClient, "mergePatch">,
  path: string,
  { metadata }: V1Deployment | V1Service,
  managedFields: readonly unknown[],
): Promise<void> {
  await client.mergePatch(path, { metadata: { managedFields, resourceVersion: metadata?.resourceVersion } });
}

import type { V1Deployment, V1Service } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import { sleep } from "../../../kit/sleep.ts";
import type { ResolvedDeployment } from "../backend.ts";
import type { InformerCache } from "./cache/informer-cache.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { adoptFields } from "./resources/adopt.ts";
import { versionMark } from "./resources/deployed.ts";
import { buildDeployment, initialReplicas, withReplicas } from "./resources/deployment.ts";
import { ANNOTATIONS, FUNCTION_LABEL } from "./resources/names.ts";
import { planUpdate, serviceNeedsApply, type UpdatePlan } from "./resources/plan-update.ts";
import { buildService } from "./resources/service.ts";
import type { ResourceContext } from "./resources/settings.ts";
import { objectName } from "./resources/version-unit.ts";

export interface FunctionWriterOptions {
  readonly client: KubernetesClient;
  readonly cache: Pick<InformerCache, "observeWrite">;
}

/** The objects of a function as they are now. */
export interface WrittenObjects {
  readonly deployment: V1Deployment;
  readonly service: V1Service;
  /** Whether something had to be written. */
  readonly changed: boolean;
}

/** What to do about what is not as it should be. */
export type Purpose =
  /** Somebody asked for a deploy. */
  | "deploy"
  /** Its definition has changed, or its objects have. */
  | "restore"
  /** Nothing is known to have changed: what an earlier provider made, with other settings, is left as it is. */
  | "verify";

/** How long to plan anew while somebody else writes the same object; its controllers do while it rolls out. */
const RETRY_ON_CONFLICT_MS = 10_000;
const FIRST_PAUSE_MS = 10;
const MAX_PAUSE_MS = 500;

/** Writes the Deployment and the Service of a function by server-side apply. */
export class FunctionWriter {
  readonly #options: FunctionWriterOptions;

  constructor(options: FunctionWriterOptions) {
    this.#options = options;
  }

  /** For a function without a Deployment. `deployment` has been checked. */
  async create(deployment: ResolvedDeployment, around: ResourceContext): Promise<WrittenObjects> {
    // First, as it may be somebody else's; without a Deployment it does no harm.
    const { service } = await this.applyService(deployment, around);
    return { deployment: await this.createDeployment(deployment, around), service, changed: true };
  }

  /** The Deployment alone. */
  async createDeployment(deployment: ResolvedDeployment, around: ResourceContext): Promise<V1Deployment> {
    const { client, cache } = this.#options;
    const { namespace, service } = deployment;
    const desired = buildDeployment(deployment, around);
    const whole = withReplicas(desired, initialReplicas(deployment, around.settings));
    const made = await client.apply<V1Deployment>(apiPath.deployment(namespace, objectName(service)), whole);
    cache.observeWrite(made);
    return made;
  }

  /**
   * One attempt, within {@link retryOnConflict}: conflicts when the Deployment is no longer `existing`.
   * @param mayAdopt whether fields of who made it before us can be taken over
   */
  async applyDeployment(
    existing: V1Deployment,
    deployment: ResolvedDeployment,
    around: ResourceContext,
    { purpose, mayAdopt }: { readonly purpose: Purpose; readonly mayAdopt: boolean },
  ): Promise<V1Deployment> {
    const { client, cache } = this.#options;
    const path = apiPath.deployment(deployment.namespace, objectName(deployment.service));
    const plan = this.#plan(existing, deployment, around, purpose);
    if (plan.kind === "unchanged") return existing;
    if (purpose === "verify" && (plan.reason === "changed" || plan.reason === "adopted")) return existing;
    if (plan.managedFields && mayAdopt) {
      await adopt(client, path, existing, plan.managedFields);
      // What there is has changed by that, so that the plan is made anew.
      throw new Superseded();
    }
    const applied = await client.apply<V1Deployment>(path, plan.deployment);
    cache.observeWrite(applied);
    return applied;
  }

  async applyService(
    deployment: ResolvedDeployment,
    { owner }: Pick<ResourceContext, "owner">,
    purpose: Purpose = "deploy",
  ): Promise<{ readonly service: V1Service; readonly changed: boolean }> {
    const { client } = this.#options;
    const path = apiPath.service(deployment.namespace, deployment.service);
    const desired = buildService(deployment, owner);
    return await this.retryOnConflict(async (mayAdopt) => {
      const existing = await client.find<V1Service>(path);
      if (existing && !isFunctionService(existing)) {
        throw new FaasError("conflict", `service ${deployment.service} exists and is not a function's`);
      }
      const isOld = purpose === "verify" && existing && hashOf(existing) !== hashOf(desired);
      if (existing && (isOld || !serviceNeedsApply(existing, desired))) return { service: existing, changed: false };
      const managedFields = existing?.metadata && adoptFields(existing.metadata);
      if (existing && managedFields && mayAdopt) {
        await adopt(client, path, existing, managedFields);
        throw new Superseded();
      }
      return { service: await client.apply<V1Service>(path, desired), changed: true };
    });
  }

  /**
   * Tries again when somebody else was faster, or after a take-over. An API server that does not let us take over may
   * keep what our predecessor left behind; the deploy goes on all the same.
   */
  async retryOnConflict<T>(work: (mayAdopt: boolean) => Promise<T>): Promise<T> {
    const limit = AbortSignal.timeout(RETRY_ON_CONFLICT_MS);
    let mayAdopt = true;
    for (let conflicts = 0; ; ) {
      try {
        return await work(mayAdopt);
      } catch (error) {
        if (limit.aborted || !(error instanceof Superseded || hasStatus(error, 409))) throw error;
        if (error instanceof Superseded) {
          mayAdopt = false;
          continue;
        }
        // By chance, or two who are in each other's way would stay so.
        await sleep(Math.random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** conflicts), limit);
        conflicts += 1;
      }
    }
  }

  #plan(existing: V1Deployment, deployment: ResolvedDeployment, around: ResourceContext, purpose: Purpose): UpdatePlan {
    const { keepsReplicas = false } = deployment;
    const isDeploy = purpose === "deploy" && !keepsReplicas;
    const how = { deploying: isDeploy, scaleDefaults: around.settings.scaleDefaults };
    const versionMarked = { ...around, versionMark: versionMark(existing, deployment) };
    const plan = (known: ResourceContext) => planUpdate(existing, buildDeployment(deployment, known), deployment, how);
    const secretsMark = existing.spec?.template.metadata?.annotations?.[ANNOTATIONS.secrets];
    if (isDeploy || secretsMark === undefined) return plan(versionMarked);
    if (keepsReplicas) return plan({ ...versionMarked, secretsMark });
    // A secret that has changed since starts new pods with the next deploy, not by our looking.
    const asStarted = plan({ ...versionMarked, secretsMark });
    return asStarted.kind === "unchanged" || asStarted.reason === "drifted" ? asStarted : plan(versionMarked);
  }
}

/** Something has been written that a plan did not know of. */
class Superseded extends FaasError {
  constructor() {
    super("conflict", "somebody else keeps changing the function; try again");
  }
}

const hashOf = ({ metadata }: V1Service) => metadata?.annotations?.[ANNOTATIONS.hash];

/** Whether a Service is that of a function, made by us or by faas-netes; ours is so whatever has become of it. */
export function isFunctionService(service: V1Service): boolean {
  const { metadata, spec } = service;
  return spec?.selector?.[FUNCTION_LABEL] === metadata?.name || hashOf(service) !== undefined;
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

import type { V1Deployment } from "@kubernetes/client-node";
import { type FunctionRef, isFunctionName, qualifiedName } from "../../../contract/functions.ts";
import type { InformerCache } from "./cache/informer-cache.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import type { FunctionObjects } from "./function-objects.ts";
import type { FunctionObject } from "./resources/function-object.ts";
import { isFunction } from "./resources/read-deployment.ts";
import { isUnitName, objectName, unitOfDeployment } from "./resources/version-unit.ts";

export interface FunctionFinderOptions {
  readonly client: Pick<KubernetesClient, "find">;
  readonly cache: Pick<InformerCache, "observeWrite">;
  readonly objects?: Pick<FunctionObjects, "find">;
}

/** A function without a Deployment, which is a Function at best. */
export interface Unseen {
  readonly object: FunctionObject | undefined;
}

/** Functions as the API server has them now, whatever has been seen of them. */
export class FunctionFinder {
  readonly #options: FunctionFinderOptions;
  readonly #lookUps = new Map<string, Promise<Unseen | undefined>>();

  constructor(options: FunctionFinderOptions) {
    this.#options = options;
  }

  /** The Deployment of a function, or of a version beside it. */
  async deployment(ref: FunctionRef): Promise<V1Deployment | undefined> {
    if (!isUnitName(ref.name) || !isFunctionName(`n${ref.namespace}`)) return undefined;
    const { client, cache } = this.#options;
    const found = await client.find<V1Deployment>(apiPath.deployment(ref.namespace, objectName(ref.name)));
    if (!found || !isFunction(found) || found.metadata?.deletionTimestamp) return undefined;
    // That of a version is none of the function that is called like it.
    if (unitOfDeployment(found.metadata ?? {}) !== ref.name) return undefined;
    cache.observeWrite(found);
    return found;
  }

  async object(ref: FunctionRef): Promise<FunctionObject | undefined> {
    return isFunctionName(ref.name) ? await this.#options.objects?.find(ref) : undefined;
  }

  /** Asks for what is not in the cache, once for all who want to know meanwhile. Undefined when it is there now. */
  async lookUp(ref: FunctionRef): Promise<Unseen | undefined> {
    const key = qualifiedName(ref);
    const look = async () => ((await this.deployment(ref)) ? undefined : { object: await this.object(ref) });
    const asked = this.#lookUps.get(key) ?? look().finally(() => this.#lookUps.delete(key));
    this.#lookUps.set(key, asked);
    return await asked;
  }
}

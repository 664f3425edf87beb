import type { V1Deployment } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { parseVersionedName } from "../../../contract/versions/version-name.ts";
import type { ResolvedDeployment } from "../backend.ts";
import type { InformerCache } from "./cache/informer-cache.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import type { FunctionWriter } from "./function-writer.ts";
import { type ResourceContextOptions, readResourceContext } from "./resource-context.ts";
import { checkDeployment } from "./resources/check.ts";
import { versionOwner } from "./resources/owner.ts";
import { readDeployment } from "./resources/read-deployment.ts";
import { objectName } from "./resources/version-unit.ts";

export interface VersionUnitsOptions extends ResourceContextOptions {
  readonly client: KubernetesClient;
  readonly cache: Pick<InformerCache, "find" | "forget">;
  readonly writer: FunctionWriter;
  /** The Deployment of a function, or of a version, as the API server has it. */
  find(ref: FunctionRef): Promise<V1Deployment | undefined>;
}

/**
 * Versions that serve beside their function's main one, `NAME@vN`: Deployments without a Service, as their pods are called by
 * address, and without a Function object, as they are no functions for people to change. They go with their function.
 */
export class VersionUnits {
  readonly #options: VersionUnitsOptions;

  constructor(options: VersionUnitsOptions) {
    this.#options = options;
  }

  async create(deployment: ResolvedDeployment): Promise<void> {
    const { client, find, writer } = this.#options;
    const { namespace, service } = deployment;
    const { name } = parseVersionedName(service);
    const [main, taken, around] = await Promise.all([
      find({ name, namespace }),
      client.find<V1Deployment>(apiPath.deployment(namespace, objectName(service))),
      readResourceContext(deployment, this.#options),
    ]);
    if (!main) throw new FaasError("notFound", `function ${qualifiedName({ name, namespace })} not found`);
    if (taken) {
      const why = `unable to create ${service}.${namespace}: deployment ${objectName(service)} already exists`;
      throw new FaasError("conflict", why);
    }
    checkDeployment(deployment, around);
    const owner = versionOwner(main);
    await writer.createDeployment(deployment, { ...around, ...(owner && { owner }) });
  }

  /** What it runs stays, so that no pod is started anew: labels and annotations count for its function. */
  async update(deployment: ResolvedDeployment): Promise<void> {
    const { find, writer } = this.#options;
    const { namespace, service } = deployment;
    const { name } = parseVersionedName(service);
    const around = await readResourceContext(deployment, this.#options);
    checkDeployment(deployment, around);
    await writer.retryOnConflict(async (mayAdopt) => {
      const [main, existing] = await Promise.all([find({ name, namespace }), find({ name: service, namespace })]);
      if (!existing) throw new FaasError("notFound", `function ${service}.${namespace} not found`);
      const { labels = {}, annotations = {} } = readDeployment(existing);
      const definition = { ...deployment, labels, annotations };
      const owner = main && versionOwner(main);
      const owned = { ...around, ...(owner && { owner }) };
      return await writer.applyDeployment(existing, definition, owned, { purpose: "restore", mayAdopt });
    });
  }

  async remove(ref: FunctionRef): Promise<void> {
    const { client, cache, find } = this.#options;
    const existing = await find(ref);
    if (!existing) throw new FaasError("notFound", `function ${qualifiedName(ref)} not found`);
    await client.remove(apiPath.deployment(ref.namespace, objectName(ref.name)), existing.metadata?.uid);
    cache.forget(existing);
  }
}

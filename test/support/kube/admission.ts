import type { Api } from "./api.ts";
import type { Resource } from "./resources.ts";
import { forbidden } from "./status.ts";
import type { Fields, KubeObject, StringMap } from "./types.ts";
import { quantityValue } from "./validation/quantity.ts";

/**
 * Quotas of the namespace, for `pods` and `count/<resource>`.
 * @throws {ApiError} forbidden when a new object would exceed one
 */
export function admit(api: Api, resource: Resource, object: KubeObject, previous?: KubeObject): void {
  if (previous !== undefined || !resource.namespaced) return;
  const namespace = object.metadata.namespace as string;
  for (const quota of api.store.list("resourcequotas", namespace)) {
    const hard = ((quota.spec as Fields | undefined)?.hard ?? {}) as StringMap;
    for (const name of [resource.key, `count/${resource.key}`]) {
      const limit = hard[name];
      if (limit === undefined) continue;
      const used = api.store.list(resource.key, namespace).length;
      if (used + 1 > quantityValue(limit)) {
        const why = `exceeded quota: ${quota.metadata.name}, requested: ${name}=1, used: ${name}=${used}, limited: ${name}=${limit}`;
        throw forbidden(resource, object.metadata.name, why);
      }
    }
  }
}

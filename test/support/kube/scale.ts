import type { Api, WriteOptions, Written } from "./api.ts";
import type { Resource } from "./resources.ts";
import { formatLabelSelector } from "./selectors.ts";
import { badRequest, conflict, invalid, MODIFIED } from "./status.ts";
import { type Fields, isFields, type KubeObject, type ObjectKey } from "./types.ts";

/** The `Scale` of a workload. */
export function scaleOf({ metadata, spec, status }: KubeObject): Fields {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  const { replicas, selector } = spec as Fields;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    // Go's encoder leaves a zero out here, but not in the status.
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: (status as Fields | undefined)?.replicas ?? 0, selector: formatLabelSelector(selector) },
  };
}

/**
 * Writes the number of replicas that a changed `Scale` asks for.
 * @throws {ApiError} invalid for a negative number; conflict for another resourceVersion
 */
export function writeScale(
  api: Api,
  resource: Resource,
  key: ObjectKey,
  change: (scale: Fields) => unknown,
  options: WriteOptions,
): Written {
  const live = api.get(resource, key);
  const changed = change(scaleOf(live));
  if (!isFields(changed) || (changed.kind !== undefined && changed.kind !== "Scale")) {
    throw badRequest("expected a Scale of autoscaling/v1");
  }
  const spec = isFields(changed.spec) ? changed.spec : {};
  const replicas = spec.replicas ?? 0;
  if (!Number.isInteger(replicas)) {
    throw badRequest(
      `Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal ${typeof replicas} into Go struct field ScaleSpec.spec.replicas of type int32`,
    );
  }
  if ((replicas as number) < 0) {
    const message = `Invalid value: ${replicas}: must be greater than or equal to 0`;
    throw invalid({ group: "autoscaling", kind: "Scale", plural: "scales" }, key.name, [
      { reason: "FieldValueInvalid", message, field: "spec.replicas" },
    ]);
  }
  const wanted = (isFields(changed.metadata) ? changed.metadata : {}).resourceVersion;
  if (typeof wanted === "string" && wanted !== "" && wanted !== live.metadata.resourceVersion) {
    throw conflict(resource, key.name, MODIFIED);
  }
  return api.patch(resource, key, (object) => ({ ...object, spec: { ...(object.spec as Fields), replicas } }), {
    ...options,
    subresource: "scale",
  });
}

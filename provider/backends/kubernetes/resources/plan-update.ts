import type { V1Deployment, V1ManagedFieldsEntry, V1Service } from "@kubernetes/client-node";
import type { ResolvedDeployment } from "../../backend.ts";
import { readScaleBounds, type ScaleRules } from "../../scale-labels.ts";
import { adoptFields } from "./adopt.ts";
import { withReplicas } from "./deployment.ts";
import { covers } from "./drift.ts";
import { isFloating } from "./image.ts";
import { ANNOTATIONS, sortKeys } from "./names.ts";

export type UpdatePlan =
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "apply";
      /** `changed`: another definition; `drifted`: edited by hand; `adopted`: not made by us; `floating`: its image may mean something new. */
      readonly reason: "changed" | "drifted" | "adopted" | "floating";
      /** For a forced apply; its resourceVersion makes that a conflict when something happened since. */
      readonly deployment: V1Deployment;
      /** When there is this, it has to become `metadata.managedFields` first; then read the object and plan anew. */
      readonly managedFields?: readonly V1ManagedFieldsEntry[];
    };

type ApplyReason = Extract<UpdatePlan, { kind: "apply" }>["reason"];

const hashIn = (object: V1Deployment | V1Service) => object.metadata?.annotations?.[ANNOTATIONS.hash];

/** Metadata and spec: the parts of an object that we write. */
function written({ metadata, spec }: V1Deployment | V1Service) {
  const { labels, annotations, ownerReferences } = metadata ?? {};
  return { metadata: { labels, annotations, ownerReferences }, spec };
}

function reasonFor(existing: V1Deployment, desired: V1Deployment, deploying: boolean): ApplyReason | undefined {
  const hash = hashIn(existing);
  if (hash === undefined) return "adopted";
  if (hash !== hashIn(desired)) return "changed";
  if (!covers(written(existing), written(desired))) return "drifted";
  const container = desired.spec?.template.spec?.containers[0];
  const floating = container?.imagePullPolicy === "Always" && isFloating(container.image ?? "");
  return deploying && floating ? "floating" : undefined;
}

function withRedeploy(deployment: V1Deployment, mark: string | undefined): V1Deployment {
  if (mark === undefined || !deployment.spec) return deployment;
  const { template } = deployment.spec;
  const annotations = sortKeys({ ...template.metadata?.annotations, [ANNOTATIONS.redeploy]: mark });
  const marked = { ...template, metadata: { ...template.metadata, annotations } };
  return { ...deployment, spec: { ...deployment.spec, template: marked } };
}

/**
 * What to apply so that `existing` becomes `desired` (from `buildDeployment`). The number of replicas stays, or rises to
 * the function's minimum.
 * @param deploying somebody asked for a deploy, as opposed to us putting things right: an image with a floating tag is
 * rolled out again then
 */
export function planUpdate(
  existing: V1Deployment,
  desired: V1Deployment,
  deployment: Pick<ResolvedDeployment, "labels" | "annotations">,
  { deploying, scaleDefaults }: Pick<ScaleRules, "scaleDefaults"> & { readonly deploying: boolean },
): UpdatePlan {
  const reason = reasonFor(existing, desired, deploying);
  if (reason === undefined) return { kind: "unchanged" };
  const { resourceVersion, generation = 0 } = existing.metadata ?? {};
  const { min } = readScaleBounds(deployment, { scaleDefaults });
  // The mark of an earlier redeploy stays: taking it away would start new pods too.
  const earlier = existing.spec?.template.metadata?.annotations?.[ANNOTATIONS.redeploy];
  const mark = reason === "floating" ? String(generation) : earlier;
  const { replicas = 1 } = existing.spec ?? {};
  // Nobody has asked for anything when an edit is undone: who sleeps sleeps on.
  const floor = reason === "drifted" && !deploying && replicas === 0 ? 0 : min;
  const whole = withReplicas(withRedeploy(desired, mark), Math.max(replicas, floor));
  const managedFields = adoptFields(existing.metadata ?? {});
  return {
    kind: "apply",
    reason,
    deployment: { ...whole, metadata: { ...whole.metadata, ...(resourceVersion && { resourceVersion }) } },
    ...(managedFields && { managedFields }),
  };
}

/** Whether `existing` has to be applied anew to become `desired` (from `buildService`). */
export function serviceNeedsApply(existing: V1Service, desired: V1Service): boolean {
  return hashIn(existing) !== hashIn(desired) || !covers(written(existing), written(desired));
}

import type { V1Deployment, V1DeploymentSpec } from "@kubernetes/client-node";
import type { ResolvedDeployment } from "../../backend.ts";
import { readScaleBounds, type ScaleRules } from "../../scale-labels.ts";
import { formatGiven } from "./deployed.ts";
import { stamp } from "./hash.ts";
import {
  ANNOTATIONS,
  FUNCTION_LABEL,
  isApart,
  objectAnnotations,
  objectLabels,
  sortKeys,
  VERSION_LABEL,
} from "./names.ts";
import { buildPodSpec } from "./pod.ts";
import { mergeProfiles } from "./profile.ts";
import { secretsVersion, splitSecrets } from "./secret-volumes.ts";
import type { ResourceContext } from "./settings.ts";
import { isVersionUnit, objectName, podMarks } from "./version-unit.ts";

/** New pods serve before old ones go; a quarter at a time, so that large functions are not replaced one by one. */
const SURGE: V1DeploymentSpec["strategy"] = {
  type: "RollingUpdate",
  rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 },
};

/** Replicas of a function that is new. */
export function initialReplicas(
  deployment: Pick<ResolvedDeployment, "labels" | "annotations">,
  rules: Pick<ScaleRules, "scaleDefaults">,
): number {
  return readScaleBounds(deployment, rules).initial;
}

/**
 * The Deployment of a function or of a version beside it, all that we want to own of it except `spec.replicas`: see `planUpdate` and
 * {@link withReplicas}. `deployment` has been checked by `checkDeployment`. Equal definitions give equal objects.
 */
export function buildDeployment(deployment: ResolvedDeployment, around: ResourceContext): V1Deployment {
  const { service, namespace, labels = {}, annotations } = deployment;
  const name = objectName(service);
  const own = objectAnnotations(annotations);
  const { files } = splitSecrets(deployment.secrets, around.secrets);
  const secrets = files.length > 0 ? (around.secretsMark ?? secretsVersion(files, around.secrets)) : undefined;
  const given = formatGiven(deployment);
  // A label that is the same for all pods of a version, and changes with it alone.
  const mark = isVersionUnit(service) ? undefined : "versionMark" in around ? around.versionMark : deployment.version;
  const recreate = mergeProfiles(annotations, around.profiles).strategy?.type === "Recreate";
  return stamp<V1Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name,
      namespace,
      labels: objectLabels(service),
      annotations: given === undefined ? own : sortKeys({ ...own, [ANNOTATIONS.given]: given }),
      ...(around.owner && { ownerReferences: [around.owner] }),
    },
    spec: {
      revisionHistoryLimit: 3,
      selector: { matchLabels: { [FUNCTION_LABEL]: name } },
      strategy: recreate ? { type: "Recreate" } : SURGE,
      template: {
        metadata: {
          labels: sortKeys({ ...labels, ...podMarks(service), ...(mark !== undefined && { [VERSION_LABEL]: mark }) }),
          annotations: sortKeys({ ...forPods(own), ...(secrets && { [ANNOTATIONS.secrets]: secrets }) }),
        },
        spec: buildPodSpec(deployment, around),
      },
    },
  } as V1Deployment);
}

function forPods(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !isApart(key)));
}

/** The same Deployment with a number of replicas. */
export function withReplicas(deployment: V1Deployment, replicas: number): V1Deployment {
  return { ...deployment, spec: { ...(deployment.spec as V1DeploymentSpec), replicas } };
}

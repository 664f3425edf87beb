import type { V1ContainerStatus, V1Deployment, V1Pod, V1Volume } from "@kubernetes/client-node";
import { FUNCTION_LABEL } from "./names.ts";

/** For telling the revision that a pod belongs to. */
const REVISION_LABEL = "pod-template-hash";
const KEPT_LABELS: readonly string[] = [FUNCTION_LABEL, REVISION_LABEL];

function trimStatus({ name, ready, started, restartCount, state, lastState }: V1ContainerStatus): V1ContainerStatus {
  return {
    name,
    ready,
    restartCount,
    image: "",
    imageID: "",
    ...(started !== undefined && { started }),
    ...(state && { state }),
    ...(lastState && { lastState }),
  };
}

/** Only that a volume holds secrets matters, for what may be told of the pod. */
function trimVolume({ name, projected, secret }: V1Volume): V1Volume[] {
  if (secret) return [{ name, secret: {} }];
  return projected?.sources?.some((source) => source.secret)
    ? [{ name, projected: { sources: [{ secret: {} }] } }]
    : [];
}

/** A pod without what the readers here never look at: a tenth of its size, as thousands of them are kept. */
export function trimPod({ metadata = {}, spec, status }: V1Pod): V1Pod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels = {} } = metadata;
  const { phase, podIP, reason, message, startTime, conditions, containerStatuses, initContainerStatuses } =
    status ?? {};
  const readsSecrets = spec?.containers.some(
    ({ env, envFrom }) => env?.some(({ valueFrom }) => valueFrom?.secretKeyRef) || envFrom?.some((s) => s.secretRef),
  );
  const volumes = (spec?.volumes ?? []).flatMap(trimVolume);
  return {
    metadata: {
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp && { creationTimestamp }),
      ...(deletionTimestamp && { deletionTimestamp }),
      labels: Object.fromEntries(Object.entries(labels).filter(([key]) => KEPT_LABELS.includes(key))),
    },
    ...(spec && {
      spec: {
        containers: [],
        ...(readsSecrets ? { volumes: [...volumes, { name: "env", secret: {} }] } : volumes.length > 0 && { volumes }),
      },
    }),
    status: {
      ...(phase !== undefined && { phase }),
      ...(podIP !== undefined && { podIP }),
      ...(reason !== undefined && { reason }),
      ...(message !== undefined && { message }),
      ...(startTime && { startTime }),
      ...(conditions && {
        conditions: conditions.map(({ type, status, reason, message, lastTransitionTime }) => ({
          type,
          status,
          ...(reason !== undefined && { reason }),
          ...(message !== undefined && { message }),
          ...(lastTransitionTime && { lastTransitionTime }),
        })),
      }),
      ...(containerStatuses && { containerStatuses: containerStatuses.map(trimStatus) }),
      ...(initContainerStatuses && { initContainerStatuses: initContainerStatuses.map(trimStatus) }),
    },
  };
}

/** A Deployment without its field ownership, which can be as large as all the rest. */
export function trimDeployment(deployment: V1Deployment): V1Deployment {
  const { managedFields: _, ...metadata } = deployment.metadata ?? {};
  return { ...deployment, metadata };
}

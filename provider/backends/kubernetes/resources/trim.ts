import type { V1Container, V1ContainerStatus, V1Deployment, V1Pod, V1PodSpec } from "@kubernetes/client-node";
import { DELETION_COST, FUNCTION_LABEL, FUNCTION_PORT, VERSION_LABEL, VERSION_OF_LABEL } from "./names.ts";
import { seesSecrets } from "./secret-volumes.ts";

/** For telling the revision that a pod belongs to. */
const REVISION_LABEL = "pod-template-hash";
const KEPT_LABELS: readonly string[] = [FUNCTION_LABEL, REVISION_LABEL, VERSION_OF_LABEL, VERSION_LABEL];

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

/** Keeps the readiness probe and whether the function sees secrets, which decides what may be shown of it. */
function trimSpec(spec: V1PodSpec, name: string | undefined): V1PodSpec {
  const containers = spec.containers ?? [];
  const own = containers.find((container) => container.name === name) ?? containers[0];
  const { httpGet, initialDelaySeconds, successThreshold, periodSeconds, timeoutSeconds } = own?.readinessProbe ?? {};
  const timing = { initialDelaySeconds, successThreshold, periodSeconds, timeoutSeconds };
  const set = Object.fromEntries(Object.entries(timing).filter(([, seconds]) => seconds !== undefined));
  const asked: V1Container[] =
    own && httpGet?.path !== undefined
      ? [{ name: own.name, readinessProbe: { httpGet: { path: httpGet.path, port: FUNCTION_PORT }, ...set } }]
      : [];
  return { containers: asked, ...(seesSecrets(spec) && { volumes: [{ name: "any", secret: {} }] }) };
}

/** A pod without what the readers here never look at: a tenth of its size, as thousands of them are kept. */
export function trimPod({ metadata = {}, spec, status }: V1Pod): V1Pod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels = {} } = metadata;
  const cost = metadata.annotations?.[DELETION_COST];
  const { phase, podIP, reason, message, startTime, conditions, containerStatuses, initContainerStatuses } =
    status ?? {};
  return {
    metadata: {
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp && { creationTimestamp }),
      ...(deletionTimestamp && { deletionTimestamp }),
      labels: Object.fromEntries(Object.entries(labels).filter(([key]) => KEPT_LABELS.includes(key))),
      ...(cost !== undefined && { annotations: { [DELETION_COST]: cost } }),
    },
    ...(spec && { spec: trimSpec(spec, labels[VERSION_OF_LABEL] ?? labels[FUNCTION_LABEL]) }),
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

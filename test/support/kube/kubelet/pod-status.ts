import { isDeepStrictEqual } from "node:util";
import type { Condition, ContainerState, ContainerStatus, Pod } from "../workloads.ts";
import { conditionOf } from "../workloads.ts";

/** What a node knows of a pod, from which its status follows. */
export interface PodSnapshot {
  readonly phase: "Pending" | "Running" | "Succeeded" | "Failed";
  readonly podIp: string | undefined;
  readonly hostIp: string;
  readonly sandbox: boolean;
  readonly startTime: string;
  readonly state: ContainerState;
  readonly lastState: ContainerState;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
  readonly imageId: string;
  readonly containerId: string | undefined;
}

/** The status to report, or undefined when it is the one that the pod has. */
export function podStatus(pod: Pod, snapshot: PodSnapshot, now: string): Pod["status"] | undefined {
  const { phase, podIp, hostIp, startTime } = snapshot;
  const next = {
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: conditions(pod, snapshot, now),
    ...(podIp !== undefined && { hostIP: hostIp, hostIPs: [{ ip: hostIp }], podIP: podIp, podIPs: [{ ip: podIp }] }),
    startTime,
    containerStatuses: pod.spec.containers.map((container, index) =>
      containerStatus(container.name, container.image, index, snapshot),
    ),
    qosClass: pod.status?.qosClass ?? "BestEffort",
  };
  return isDeepStrictEqual(next, pod.status) ? undefined : next;
}

/** Only the first container is run; the others are as it is. */
function containerStatus(name: string, image: string, _index: number, snapshot: PodSnapshot): ContainerStatus {
  const { state, lastState, ready, started, restartCount, imageId, containerId } = snapshot;
  return {
    name,
    state,
    lastState,
    ready,
    restartCount,
    image,
    imageID: imageId,
    ...(containerId !== undefined && { containerID: containerId }),
    started,
  };
}

function conditions(pod: Pod, { phase, sandbox, ready }: PodSnapshot, now: string): Condition[] {
  const names = pod.spec.containers.map(({ name }) => name).join(" ");
  const ended = phase === "Failed" || phase === "Succeeded";
  const unready: Pick<Condition, "reason" | "message"> = ended
    ? { reason: phase === "Failed" ? "PodFailed" : "PodCompleted" }
    : { reason: "ContainersNotReady", message: `containers with unready status: [${names}]` };
  const verdicts: readonly (readonly [type: string, holds: boolean, why: Pick<Condition, "reason" | "message">])[] = [
    ["PodReadyToStartContainers", sandbox && !ended, {}],
    ["Initialized", true, {}],
    ["Ready", ready, unready],
    ["ContainersReady", ready, unready],
    ["PodScheduled", true, {}],
  ];
  return verdicts.map(([type, holds, why]) => {
    const status = holds ? "True" : "False";
    const before = conditionOf(pod.status?.conditions, type);
    return {
      type,
      ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
      status,
      lastProbeTime: null,
      lastTransitionTime: before?.status === status ? (before.lastTransitionTime ?? now) : now,
      ...(holds ? {} : why),
    };
  });
}

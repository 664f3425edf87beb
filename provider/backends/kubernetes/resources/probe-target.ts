import type { V1Container, V1ContainerStatus, V1Pod, V1Probe } from "@kubernetes/client-node";
import { HEALTH_PATH, READY_PATH } from "./names.ts";

/** One run of a pod's container that is worth asking whether it answers. */
export interface ProbeTarget {
  /** Different for every pod, and every start of its container. */
  readonly run: string;
  readonly ip: string;
  /** What its kubelet asks, as anything else may be a call of the function; undefined when that is no HTTP path. */
  readonly path: string | undefined;
  /** Whether the API shows that its container runs, from when on {@link delayMs} counts. */
  readonly running: boolean;
  /** How long after its start its kubelet leaves it alone. */
  readonly delayMs: number;
  /** How often in a row it has to answer, and how far apart that is. */
  readonly successes: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
}

/** What Kubernetes fills in where a probe says nothing. */
const PERIOD_SECONDS = 10;
/** The longest that a timer counts; more than three weeks. */
const MAX_MS = 2 ** 31 - 1;

const milliseconds = (seconds: number) => Math.min(seconds * 1000, MAX_MS);

type Timing = Pick<ProbeTarget, "delayMs" | "successes" | "periodMs" | "timeoutMs">;

function timingOf(probe: V1Probe | undefined): Timing {
  const { initialDelaySeconds, successThreshold, periodSeconds, timeoutSeconds } = probe ?? {};
  return {
    delayMs: milliseconds(initialDelaySeconds ?? 0),
    successes: successThreshold ?? 1,
    periodMs: milliseconds(periodSeconds ?? PERIOD_SECONDS),
    timeoutMs: milliseconds(timeoutSeconds ?? 1),
  };
}

const isDown = ({ state, lastState }: V1ContainerStatus) =>
  Boolean(state?.terminated || (state?.waiting && lastState?.terminated));

/**
 * Undefined while there is nobody to ask, and once the kubelet has seen for itself.
 * @param pod trimmed: the function's own container is the only one
 * @param announced the address that the pod has announced; counts until the API shows one
 */
export function probeTarget({ metadata, spec, status }: V1Pod, announced?: string): ProbeTarget | undefined {
  const { podIP = announced, phase, conditions = [], containerStatuses = [] } = status ?? {};
  if (!podIP || !metadata?.uid || metadata.deletionTimestamp || phase === "Failed" || phase === "Succeeded") return;
  if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return;
  if (containerStatuses.some(isDown)) return;
  const restarts = containerStatuses.reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  // The objects of bookmarks have no containers at all.
  const [container] = (spec?.containers ?? []) as readonly (V1Container | undefined)[];
  const probe = container?.readinessProbe;
  return {
    run: `${metadata.uid}/${restarts}`,
    ip: podIP,
    path: probe?.httpGet?.path,
    running: containerStatuses.length > 0 && containerStatuses.every(({ state }) => state?.running),
    ...timingOf(probe),
  };
}

/** Whether a function that was deployed with a path of its own for that says by it that it takes calls. */
export function hasOwnPath({ path }: Pick<ProbeTarget, "path">): boolean {
  return path !== undefined && path !== HEALTH_PATH;
}

/**
 * Who announces itself has a watchdog that knows better than by its health whether it takes calls, and takes them. A
 * function that has a path of its own is to be asked as it says.
 */
export function announcedTarget(target: ProbeTarget): ProbeTarget {
  return hasOwnPath(target) ? target : { ...target, path: READY_PATH, delayMs: 0, successes: 1 };
}

import type { V1ContainerState, V1ContainerStateTerminated, V1Deployment, V1Pod } from "@kubernetes/client-node";
import { redact, sensitiveValues } from "../../redact.ts";
import { readEnvironment } from "./environment.ts";
import { functionContainer } from "./read-deployment.ts";
import { seesSecrets } from "./secret-volumes.ts";

/** Why replicas do not come up. */
export interface Problem {
  /** One short line for those who run the function. It never quotes output of one that has secrets. */
  readonly message: string;
  /** What of it anybody may know. */
  readonly kind: string;
  /** It will not go away by waiting; what is not may yet, e.g. when a node joins or its container starts again. */
  readonly lasting: boolean;
}

const MAX_DETAIL_CHARS = 200;
const TELLING = /error|exception|panic|fatal|cannot|can't|not found|no such|denied|refused|invalid|missing/i;

function short(text: string | undefined): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const line = (text ?? "").replace(/[\u0000-\u001f\u007f]+/g, " ").trim();
  return line.length > MAX_DETAIL_CHARS ? `${line.slice(0, MAX_DETAIL_CHARS)}…` : line;
}

function problem(kind: string, detail: string | undefined, lasting: boolean): Problem {
  const why = short(detail);
  return { kind, message: why === "" ? kind : `${kind}: ${why}`, lasting };
}

/** The line of a dying container's output that says most; stacks and versions come after it and are indented or dull. */
function tellingLine(output: string | undefined): string | undefined {
  const lines = (output ?? "").split("\n").filter((line) => line.trim() !== "");
  return lines.findLast((line) => TELLING.test(line) && !/^\s/.test(line)) ?? lines.at(-1);
}

/** What a line of output becomes before it is quoted; undefined where none may be. */
type Quote = ((line: string) => string) | undefined;

function describeEnd(end: V1ContainerStateTerminated, again: string, quote: Quote): Omit<Problem, "lasting"> {
  const { exitCode, signal, reason, message } = end;
  const told = (kind: string, detail = "", output = "") => ({
    kind: `${kind}${again}`,
    message: `${kind}${detail}${again}${output}`,
  });
  if (reason === "OOMKilled") return told("was killed for using more memory than its limit");
  // The container never ran: its runtime says why, not the function.
  if (neverRan(end)) return told("cannot be started", short(message) && `: ${short(message)}`);
  const line = quote ? short(quote(tellingLine(message) ?? "")) : "";
  const how = signal ? `was killed by signal ${signal}` : `exited with code ${exitCode}`;
  return told(how, "", line && `; last output: ${line}`);
}

function neverRan({ reason }: V1ContainerStateTerminated): boolean {
  return reason === "ContainerCannotRun" || reason === "StartError";
}

/** Reasons a container waits for, by what they mean. Those not listed are steps on its way. */
const WAITING: ReadonlyMap<string, { readonly what: string; readonly lasting: boolean }> = new Map([
  ["ErrImagePull", { what: "the image cannot be pulled", lasting: true }],
  ["ImagePullBackOff", { what: "the image cannot be pulled", lasting: true }],
  ["InvalidImageName", { what: "the image has no valid name", lasting: true }],
  ["ErrImageNeverPull", { what: "the image is not on the node and must not be pulled", lasting: true }],
  ["ImageInspectError", { what: "the image cannot be read", lasting: true }],
  ["RegistryUnavailable", { what: "the image's registry cannot be reached", lasting: true }],
  ["CreateContainerConfigError", { what: "the container cannot be configured", lasting: true }],
  ["CreateContainerError", { what: "the container cannot be created", lasting: true }],
  ["RunContainerError", { what: "the container cannot be started", lasting: true }],
]);

/** Steps on a container's way; a message with them is what a pod is stuck with, as `StuckPods` found out. */
export const CREATING: ReadonlySet<string> = new Set(["ContainerCreating", "PodInitializing"]);
/** Not so a cache that is not filled yet, or a network that starts with its node. */
const LASTS = /not found|non-existent|forbidden/i;

/** Failures in a row until callers see the problem: a container that has just died runs again in a moment. */
const HOPELESS_ENDS = 3;
/** A container that ran for so long was sound, for its kubelet too, which then starts it again at once. */
const SOUND_MS = 10 * 60_000;

/** Whether nobody should wait for it any longer. */
function isHopeless({ restartCount = 0, state }: StatusOfContainer, end: V1ContainerStateTerminated): boolean {
  if (neverRan(end)) return true;
  const [began, ended] = [end.startedAt, end.finishedAt].map((at) => (at ? new Date(at).getTime() : Number.NaN));
  if ((ended as number) - (began as number) >= SOUND_MS) return false;
  return (state?.running ? restartCount : restartCount + 1) >= HOPELESS_ENDS;
}

interface StatusOfContainer {
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: V1ContainerState;
  readonly lastState?: V1ContainerState;
}

function containerProblem(status: StatusOfContainer, quote: Quote): Problem | undefined {
  const { ready, restartCount = 0, state, lastState } = status;
  const { reason = "", message } = state?.waiting ?? {};
  const known = WAITING.get(reason);
  if (known) return problem(known.what, message, known.lasting);
  if (CREATING.has(reason) && message) return problem("the container cannot be created", message, LASTS.test(message));
  // Between two tries a container runs for a while; until it is ready the last end still counts.
  const end = state?.terminated ?? (ready ? undefined : lastState?.terminated);
  if (!end) return undefined;
  const again = restartCount > 0 ? `, ${restartCount} restart${restartCount === 1 ? "" : "s"}` : "";
  return { ...describeEnd(end, again, quote), lasting: isHopeless(status, end) };
}

/**
 * What keeps one pod from serving; undefined while nothing does.
 * @param sensitive values that are not to be quoted
 */
export function podProblem(pod: V1Pod, sensitive: readonly string[] = []): Problem | undefined {
  const { status, metadata } = pod;
  if (metadata?.deletionTimestamp) return undefined;
  // Last words might quote a secret; nor may they be shown when nobody knows whether there is one.
  const mayQuote = pod.spec !== undefined && !seesSecrets(pod.spec);
  const quote = mayQuote ? (line: string) => redact(line, sensitive) : undefined;
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const container of containers) {
    const found = containerProblem(container, quote);
    if (found) return found;
  }
  const scheduled = status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False" && scheduled.reason === "Unschedulable") {
    return problem("no node can take it", scheduled.message, false);
  }
  if (status?.phase === "Failed") return problem(status.reason ?? "failed", status.message, true);
  return undefined;
}

/** What the Deployment's controller complains of; pods say it better where there are any. */
function deploymentProblem({ status }: V1Deployment): Problem | undefined {
  const conditions = status?.conditions ?? [];
  const failure = conditions.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  if (failure) return problem("no pod can be made", failure.message, true);
  const late = conditions.find(({ type, status }) => type === "Progressing" && status === "False");
  return late && problem("replicas do not become ready", late.message, false);
}

const createdAt = ({ metadata }: V1Pod) => new Date(metadata?.creationTimestamp ?? 0).getTime();

/**
 * Why replicas of a function do not come up. Newer pods first, as trouble of a version that is being replaced solves
 * itself; what lasts before what may pass.
 */
export function readProblem(deployment: V1Deployment, pods: readonly V1Pod[] = []): Problem | undefined {
  if (deployment.spec?.replicas === 0) return undefined;
  const newestFirst = [...pods].sort((a, b) => createdAt(b) - createdAt(a));
  const sensitive = sensitiveValues(readEnvironment(functionContainer(deployment)?.env).envVars ?? {});
  const ofPods = newestFirst.map((pod) => podProblem(pod, sensitive));
  const found = [...ofPods, deploymentProblem(deployment)].filter((p) => p !== undefined);
  return found.find(({ lasting }) => lasting) ?? found[0];
}

const isReady = ({ status }: V1Pod) =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

/** Why nobody should wait for a replica, as anybody may know: each that does not serve has a problem that lasts. */
export function readHopeless(deployment: V1Deployment, pods: readonly V1Pod[] = []): string | undefined {
  const found = readProblem(deployment, pods);
  if (!found?.lasting) return undefined;
  const awaited = pods.filter((pod) => !pod.metadata?.deletionTimestamp && !isReady(pod));
  return awaited.every((pod) => podProblem(pod)?.lasting) ? found.kind : undefined;
}

import type { V1Pod } from "@kubernetes/client-node";

/** When a pod reached a phase according to the API, to the second, in milliseconds since the epoch. */
export interface PhaseStamps {
  readonly created?: number;
  readonly scheduled?: number;
  readonly sandbox?: number;
  readonly started?: number;
  readonly ready?: number;
}

function parse(time: Date | string | undefined): number | undefined {
  const ms = new Date(time ?? "").getTime();
  return Number.isNaN(ms) ? undefined : ms;
}

/** The phases that the pod's status tells of. */
export function readPhases({ metadata, status }: V1Pod): PhaseStamps {
  const since = (wanted: string) =>
    parse(status?.conditions?.find(({ type, status }) => type === wanted && status === "True")?.lastTransitionTime);
  const stamps = {
    created: parse(metadata?.creationTimestamp),
    scheduled: since("PodScheduled"),
    sandbox: since("PodReadyToStartContainers"),
    started: parse(status?.containerStatuses?.[0]?.state?.running?.startedAt),
    ready: since("Ready"),
  };
  return Object.fromEntries(Object.entries(stamps).filter(([, at]) => at !== undefined));
}

/** The end of the second that a stamp names. */
const LAST_OF_SECOND_MS = 999;

/**
 * When something happened of which the API tells the second only, in milliseconds since the epoch: no later than we saw
 * it, which is closest for what is reported at once, nor than that second's end.
 * @param bounds what came before it and what came after it
 */
export function decidePhaseTime(
  stamp: number,
  seenAt: number,
  { after = Number.NEGATIVE_INFINITY, before = Number.POSITIVE_INFINITY }: { after?: number; before?: number },
): number {
  return Math.min(Math.max(Math.min(seenAt, stamp + LAST_OF_SECOND_MS), after), before);
}

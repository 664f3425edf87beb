import type { LogMessage } from "../../../../../contract/logs.ts";
import type { CallRow } from "../../../../../contract/ui/series.ts";
import type { TimedPhase } from "../../components/bar-pieces.ts";

/** Clocks of gateway and machines differ a little, and lines are written a little later. */
const BEFORE_MS = 250;
const AFTER_MS = 1_000;

export interface CallSpan {
  readonly since: number;
  readonly until: number;
}

/** When a call's lines may have been written, in milliseconds since the epoch. */
export function spanOf({ at, durationMs }: Pick<CallRow, "at" | "durationMs">): CallSpan {
  return { since: at - BEFORE_MS, until: at + durationMs + AFTER_MS };
}

export interface CallLine extends LogMessage {
  /** Its text has the call's id. */
  readonly isNamed: boolean;
}

/**
 * Those of a function's lines that may be of a call, by time: of its replica while it ran, where lines name their replicas as calls do, and
 * all that have its id.
 */
export function linesOfCall(
  lines: readonly LogMessage[],
  call: Pick<CallRow, "id" | "callId" | "at" | "durationMs" | "replica">,
): readonly CallLine[] {
  const { since, until } = spanOf(call);
  const { callId = call.id } = call;
  const isReplicaKnown = lines.some(({ instance }) => instance === call.replica);
  return lines
    .map((line) => ({ ...line, isNamed: callId !== "" && line.text.includes(callId) }))
    .filter(({ isNamed, instance, timestamp }) => {
      const at = Date.parse(timestamp);
      return isNamed || (at >= since && at <= until && (!isReplicaKnown || instance === call.replica));
    })
    .sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
}

export interface StartupPart {
  readonly name: string;
  readonly medianMs: number;
  readonly mostMs: number;
}

/** What starts took their time for: the median and the longest of each phase, in the order of phases. */
export function startupParts(starts: readonly (readonly TimedPhase[])[]): readonly StartupPart[] {
  const byName = new Map<string, number[]>();
  for (const start of starts) {
    for (const { name, ms } of start) byName.set(name, [...(byName.get(name) ?? []), ms]);
  }
  return [...byName].map(([name, times]) => {
    const sorted = times.toSorted((a, b) => a - b);
    return { name, medianMs: sorted[Math.floor((sorted.length - 1) / 2)] as number, mostMs: sorted.at(-1) as number };
  });
}

import type { FunctionRow } from "../../../../../contract/ui/stream.ts";
import type { Tone } from "../../components/tone.ts";

/** How a function is, the worst first. */
export const HEALTHS = ["cannot-start", "failing", "some-errors", "starting", "ready", "at-zero"] as const;
export type Health = (typeof HEALTHS)[number];

export const HEALTH_WORDS: Readonly<Record<Health, readonly [tone: Tone, word: string]>> = {
  "cannot-start": ["bad", "Cannot start"],
  failing: ["bad", "Failing"],
  "some-errors": ["warn", "Some errors"],
  starting: ["busy", "Starting"],
  ready: ["good", "Ready"],
  "at-zero": ["idle", "At zero"],
};

/** More than this share of calls that fail is no accident. */
const FAILING = 0.05;

export function healthOf({
  problem,
  errors,
  rate,
  replicas,
  available,
}: Pick<FunctionRow, "problem" | "errors" | "rate" | "replicas" | "available">): Health {
  if (problem !== undefined) return "cannot-start";
  if (errors > FAILING && rate > 0) return "failing";
  if (replicas === 0) return "at-zero";
  if (available < replicas) return "starting";
  return errors > 0 ? "some-errors" : "ready";
}

export interface FunctionFilter {
  /** In a name, or of a label as `name=value`. */
  readonly text: string;
  readonly namespace: string;
  readonly state: string;
}

/** Those that are asked for; each part of the filter is no matter when empty. */
export function filterFunctions(
  rows: Iterable<FunctionRow>,
  { text, namespace, state }: FunctionFilter,
): readonly FunctionRow[] {
  const wanted = text.trim().toLowerCase();
  return [...rows].filter(
    (row) =>
      (namespace === "" || row.namespace === namespace) &&
      (state === "" || healthOf(row) === state) &&
      (wanted === "" || matches(row, wanted)),
  );
}

function matches({ name, namespace, labels }: FunctionRow, wanted: string): boolean {
  if (`${name}.${namespace}`.toLowerCase().includes(wanted)) return true;
  return (
    wanted.includes("=") &&
    Object.entries(labels).some(([label, value]) => `${label}=${value}`.toLowerCase().includes(wanted))
  );
}

import { z } from "zod";
import { decode, maybe } from "../decode.ts";
import { deliveryAttempt } from "./delivery-attempt.ts";

/** Of a run; all but the first are final, until it is resumed. */
export const RUN_STATES = ["running", "succeeded", "failed", "cancelled", "timed-out"] as const;
export type RunState = (typeof RUN_STATES)[number];

/** Of a step in a run. */
export const STEP_STATES = [
  "pending",
  "waiting",
  "running",
  "retrying",
  "done",
  "failed",
  "dropped",
  "skipped",
] as const;
export type StepState = (typeof STEP_STATES)[number];

const count = z.number();
/** RFC 3339, UTC. */
const time = z.string();

const stepError = z.object({ errorType: z.string(), cause: z.string(), status: maybe(count) });

const runSummary = z.object({
  /** Begins with the flow's name. */
  id: z.string(),
  flow: z.string(),
  namespace: z.string(),
  state: z.enum(RUN_STATES),
  startedAt: time,
  /** The run ends then whatever it does. */
  deadlineAt: time,
  endedAt: maybe(time),
  durationMs: count,
  /** The event that has started it. */
  startedBy: z.object({ source: z.string(), id: z.string(), type: z.string(), ref: maybe(z.string()) }),
  /** The step that was begun last. */
  step: maybe(z.string()),
  error: maybe(stepError.extend({ step: z.string() })),
  /** The step whose empty answer has ended it. */
  endedAtStep: maybe(z.string()),
});
/** A run in a list. */
export type RunSummary = z.output<typeof runSummary>;

const preview = z.object({
  /** Names the event in the ledger. */
  ref: z.string(),
  bytes: count,
  contentType: maybe(z.string()),
  /** The beginning, without secrets; absent where it is not kept, or no text. */
  text: maybe(z.string()),
  truncated: z.boolean(),
});
export type DataPreview = z.output<typeof preview>;

const runStep = z.object({
  name: z.string(),
  /** `call`, `transform`, `wait`, `map`, `parallel`, or `reply`. */
  kind: z.string(),
  state: z.enum(STEP_STATES),
  startedAt: maybe(time),
  /** How often it was begun. */
  tries: count,
  /** The latest of its subscriber's. */
  attempts: z.array(deliveryAttempt),
  nextAttemptAt: maybe(time),
  /** Of a fan-out. */
  parts: maybe(z.object({ total: count, open: count, done: count, failed: count, empty: count })),
  input: maybe(preview),
  output: maybe(preview),
});
export type RunStepReport = z.output<typeof runStep>;

const runReport = runSummary.extend({
  /** How often it was resumed. */
  round: count,
  /** Versions of functions, by step. */
  versions: z.record(z.string(), z.string()),
  steps: z.array(runStep),
  result: maybe(preview),
});
/** All that is known of a run. */
export type RunReport = z.output<typeof runReport>;

const flowReport = z.object({
  name: z.string(),
  namespace: z.string(),
  /** `object` where one of a cluster declares it. */
  origin: maybe(z.string()),
  /** As it was declared. */
  spec: z.unknown(),
  /** Runs that are kept, by their states. */
  runs: z.partialRecord(z.enum(RUN_STATES), count),
  /** What keeps it from running. */
  problem: maybe(z.string()),
});
/** A declared flow. */
export type FlowReport = z.output<typeof flowReport>;

const runList = z.object({ items: z.array(runSummary), next: maybe(z.string()) });
/** What `GET /system/flow-runs` answers, newest first; `next` is the `after` of the page that follows. */
export type RunList = z.output<typeof runList>;

/** @throws {FaasError} `invalid` */
export function decodeRunList(value: unknown): RunList {
  return decode(runList, value, "runs");
}

/** @throws {FaasError} `invalid` */
export function decodeRunReport(value: unknown): RunReport {
  return decode(runReport, value, "run");
}

/** @throws {FaasError} `invalid` */
export function decodeRunSummary(value: unknown): RunSummary {
  return decode(runSummary, value, "run");
}

/** @throws {FaasError} `invalid` */
export function decodeFlowReport(value: unknown): FlowReport {
  return decode(flowReport, value, "flow");
}

/** @throws {FaasError} `invalid` */
export function decodeFlowReports(value: unknown): FlowReport[] {
  return decode(z.array(flowReport), value, "flows");
}

import { z } from "zod";
import { decode, maybe } from "../decode.ts";
import { isDnsLabel } from "../names.ts";
import { DELIVERY_STATES } from "./event-report.ts";

/** `STARTING` until it is known how many there are; the last three are final. */
export const REPLAY_STATES = ["STARTING", "RUNNING", "COMPLETED", "CANCELLED", "FAILED"] as const;
export type ReplayState = (typeof REPLAY_STATES)[number];

export const SELECTABLE_STATES = [...DELIVERY_STATES, "unmatched"] as const;
export const MAX_REPLAY_RATE = 10_000;
export const DEFAULT_REPLAY_RATE = 100;
export const MAX_REPLAY_EVENTS = 100;

const text = z.string().min(1, "must not be empty").max(1_000, "must be at most 1000 characters");
const label = z.string().refine(isDnsLabel, "must be at most 63 of a-z, 0-9 and -, which neither begins nor ends it");

/** Which events go out again, and where to. */
export const replayRequest = z.strictObject({
  name: maybe(label),
  broker: maybe(label),
  /** By their refs. */
  events: maybe(
    z.array(text).min(1, "must name an event").max(MAX_REPLAY_EVENTS, `must be at most ${MAX_REPLAY_EVENTS}`),
  ),
  id: maybe(text),
  source: maybe(text),
  type: maybe(text),
  /** Of that trigger alone. */
  trigger: maybe(text),
  states: maybe(z.array(z.enum(SELECTABLE_STATES)).min(1, "must name a state")),
  /** By arrival: a time, or a duration back from when the replay is made. */
  since: maybe(text),
  until: maybe(text),
  /** Must be true where nothing else says which. */
  all: maybe(z.boolean()),
  /** A function, version or trigger; each event's own triggers when absent. */
  to: maybe(text),
  /** Events a second. */
  rate: maybe(z.number().positive("must be more than 0").max(MAX_REPLAY_RATE, `must be at most ${MAX_REPLAY_RATE}`)),
  /** What is answered goes on to the broker, as it does otherwise; it ends there when absent. */
  replies: maybe(z.boolean()),
  /** Counts them, and sends none. */
  dryRun: maybe(z.boolean()),
});
export type ReplayRequest = z.output<typeof replayRequest>;

/** @throws {FaasError} `invalid`, naming the field and the rule */
export function decodeReplayRequest(value: unknown): ReplayRequest {
  return decode(replayRequest, value, "replay");
}

const time = z.string();
const replayReport = z.object({
  name: z.string(),
  namespace: z.string(),
  state: z.enum(REPLAY_STATES),
  createdAt: time,
  endedAt: maybe(time),
  broker: maybe(z.string()),
  events: maybe(z.array(z.string())),
  id: maybe(z.string()),
  source: maybe(z.string()),
  type: maybe(z.string()),
  trigger: maybe(z.string()),
  states: maybe(z.array(z.enum(SELECTABLE_STATES))),
  since: maybe(time),
  until: maybe(time),
  to: maybe(z.string()),
  replies: maybe(z.boolean()),
  rate: z.number(),
  /** Events that it is about; absent while they are counted. */
  total: maybe(z.number()),
  /** Looked at so far: those given out again, and those that could not be. */
  done: z.number(),
  skipped: z.number(),
  /** The one that was looked at last. */
  lastRef: maybe(z.string()),
  lastArrivedAt: maybe(time),
  /** Why it has failed, or does not go on for now. */
  problem: maybe(z.string()),
});
export type ReplayReport = z.output<typeof replayReport>;

const dryRun = z.object({
  /** Events that would go out. */
  count: z.number(),
  /** There are more, which were not counted. */
  more: z.boolean(),
  /** Where they would go, by trigger. */
  deliveries: z.record(z.string(), z.number()),
  /** The first of them. */
  sample: z.array(z.object({ ref: z.string(), id: z.string(), type: z.string(), arrivedAt: time })),
});
/** What a dry run answers. */
export type ReplayDryRun = z.output<typeof dryRun>;

/** @throws {FaasError} `invalid` */
export function decodeReplayReport(value: unknown): ReplayReport {
  return decode(replayReport, value, "replay");
}

/** @throws {FaasError} `invalid` */
export function decodeReplayList(value: unknown): ReplayReport[] {
  return decode(z.array(replayReport), value, "replays");
}

/** @throws {FaasError} `invalid` */
export function decodeReplayDryRun(value: unknown): ReplayDryRun {
  return decode(dryRun, value, "dry run");
}

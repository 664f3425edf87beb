import { z } from "zod";
import { decode, maybe } from "./decode.ts";

const count = z.number();
/** RFC 3339, UTC. */
const time = z.string();

const step = z.object({
  reason: z.string(),
  /** What the step comes to. */
  replicas: count,
  /** The formula with its numbers, or the rule. */
  text: z.string(),
});

const decision = z.object({
  at: time,
  /** Replicas wanted before, and ready then. */
  from: count,
  ready: count,
  /** Replicas wanted after. */
  to: count,
  /** Of the step that decided. */
  reason: z.string(),
  panic: z.boolean(),
  /** Average over the window, and over the panic window. */
  load: maybe(count),
  burstLoad: maybe(count),
  steps: z.array(step),
});

const scalingReport = z.object({
  function: z.string(),
  namespace: z.string(),
  /** Replicas wanted and ready now. */
  replicas: count,
  ready: count,
  type: z.string(),
  /** Settings that count, defaults included; durations as in Go. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** Settings that were left out of account, a sentence each. */
  problems: z.array(z.string()),
  /** What the provider last said to an order that it refused. */
  refused: maybe(z.string()),
  /** Whether this gateway acts on what it decides, and the name of the one that does. */
  leading: z.boolean(),
  leader: maybe(z.string()),
  lastBusyAt: time,
  /** The last number set by hand, and until when it stands at least; absent once it counts no more. */
  byHand: maybe(z.object({ replicas: count, at: time, until: time })),
  /** Left to alerts for now. */
  alerted: z.boolean(),
  /** Of functions that ask for it: whether a call is likely now, and how often that was right. */
  prewarm: maybe(z.object({ likely: z.boolean(), hits: count, misses: count })),
  /** The last tick, whether it changed anything or not. */
  last: maybe(decision),
  /** Those that changed something or had another reason than the one before; oldest first. */
  decisions: z.array(decision),
});
/** What `GET /system/scaling/<function>` answers. */
export type ScalingReport = z.output<typeof scalingReport>;
export type ScalingDecision = z.output<typeof decision>;

/** @throws {FaasError} `invalid` */
export function decodeScalingReport(value: unknown): ScalingReport {
  return decode(scalingReport, value, "scaling report");
}

const sample = z.object({
  t: count,
  concurrency: count,
  started: count,
  inFlight: count,
  held: count,
  queued: count,
  cpu: maybe(count),
  custom: maybe(count),
  replicas: count,
  ready: count,
});
/** One line of `GET /system/scaling/<function>/history`. */
export type ScalingSample = z.output<typeof sample>;

/** @throws {FaasError} `invalid` */
export function decodeScalingSample(value: unknown): ScalingSample {
  return decode(sample, value, "scaling history");
}

const totals = z.object({
  /** Calls that came while no replica was ready. */
  coldStarts: count,
  replicaSeconds: count,
  /** Seconds with more load than the ready replicas are meant for. */
  overloadedSeconds: count,
  /** Of the number of replicas that are wanted. */
  changes: count,
});

const whatIf = z.object({
  type: z.string(),
  /** All settings that it was decided by. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** What would have been, and what was. */
  simulated: totals,
  recorded: totals,
  /** Oldest first; of many seconds the largest numbers of several at a time. */
  points: z.array(
    z.object({
      /** Milliseconds since the epoch. */
      t: count,
      load: count,
      wanted: count,
      ready: count,
      /** Replicas that were really ready. */
      recorded: count,
    }),
  ),
});
/** What `GET /system/scaling/<function>/what-if` answers. */
export type ScalingWhatIf = z.output<typeof whatIf>;

/** @throws {FaasError} `invalid` */
export function decodeScalingWhatIf(value: unknown): ScalingWhatIf {
  return decode(whatIf, value, "scaling simulation");
}

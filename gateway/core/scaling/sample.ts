import type { ScaleType } from "../../../contract/scale-policy.ts";

/** What was known of one function in one second; a line of a recorded history. */
export interface Sample {
  /** Milliseconds since the epoch. */
  readonly t: number;
  /** Calls in flight on average, those that waited among them. */
  readonly concurrency: number;
  /** Calls that began. */
  readonly started: number;
  /** Calls in flight, and waiting for a replica, at the end of the second. */
  readonly inFlight: number;
  readonly held: number;
  /** Asynchronous calls waiting or under way. */
  readonly queued: number;
  /** Milli-CPU of all replicas, and the value of its query; where they are looked at. */
  readonly cpu?: number;
  readonly custom?: number;
  /** Replicas wanted and ready. */
  readonly replicas: number;
  readonly ready: number;
}

/** The load that functions of a type are scaled by; undefined when it was not measured. */
export function loadOf(type: ScaleType, sample: Sample): number | undefined {
  switch (type) {
    case "capacity":
      return sample.concurrency;
    case "rps":
      return sample.started;
    case "queue":
      return sample.queued;
    case "cpu":
      return sample.cpu;
    case "custom":
      return sample.custom;
  }
}

/** Whether there was anything to do, so that the function may not sleep yet. */
export function hasWork({ started, inFlight, held, queued }: Omit<Sample, "t">): boolean {
  return started > 0 || inFlight > 0 || held > 0 || queued > 0;
}

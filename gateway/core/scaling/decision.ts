import type { ScalePolicy } from "../../../contract/scale-policy.ts";
import type { SetByHand } from "./by-hand.ts";

/** What a decision is made from, beside the load recorded before. Times in milliseconds of a clock that only goes forward. */
export interface ScaleInput {
  readonly now: number;
  readonly policy: ScalePolicy;
  /** Replicas wanted at present, and those that serve. */
  readonly replicas: number;
  readonly ready: number;
  /** Calls that wait for a replica. */
  readonly held: number;
  /** Whether anything is in flight, held or queued. */
  readonly busy: boolean;
  /** When anything last was, as far as known. */
  readonly lastBusyAt: number;
  /** Why the load is not to be trusted: a source that is away. Replicas are then kept. */
  readonly unknownLoad?: string;
  /** Why the load may be more than is known: nothing is taken away then. */
  readonly partialLoad?: string;
  /** Bounds that a schedule sets for now. */
  readonly scheduled?: { readonly min: number; readonly max?: number };
  /** Whether a call is likely, so that a replica has to stay. */
  readonly prewarm?: boolean;
  /** Processors that all replicas share: the most replicas that load asks for. Absent where that is no bound. */
  readonly cores?: number;
  /** Whether replicas that do not help are taken back. */
  readonly checkGain?: boolean;
  /** The number that somebody set last; it counts for a while. */
  readonly byHand?: SetByHand | undefined;
}

/** Which rule set or clamped the result; each goes with a sentence in {@link Decision.steps}. */
export type ScaleReason =
  | "load"
  | "panic"
  | "hysteresis"
  | "cores"
  | "gain"
  | "up-rate"
  | "down-rate"
  | "up-delay"
  | "down-delay"
  | "activation"
  | "initial"
  | "min"
  | "max"
  | "schedule"
  | "prewarm"
  | "static"
  | "by-hand"
  | "load-unknown"
  | "no-data"
  | "asleep"
  | "woken"
  | "idle";

/** One step of a decision: what was computed, and how many replicas it comes to. */
export interface ScaleStep {
  readonly reason: ScaleReason;
  readonly replicas: number;
  /** The formula with its numbers. */
  readonly text: string;
}

export interface Decision {
  /** Replicas to want from now on. */
  readonly replicas: number;
  /** What decided: the last step that changed the number. */
  readonly reason: ScaleReason;
  readonly panic: boolean;
  /** Average load over the window and over the panic window; absent without data. */
  readonly stableLoad?: number;
  readonly panicLoad?: number;
  /** In the order they were taken. */
  readonly steps: readonly ScaleStep[];
}

/** Collects the steps of one decision. */
export class Steps {
  readonly list: ScaleStep[] = [];
  replicas: number;

  constructor(replicas: number) {
    this.replicas = replicas;
  }

  /** Notes a step, also one that changes nothing. */
  apply(reason: ScaleReason, replicas: number, text: string): void {
    this.list.push({ reason, replicas, text });
    this.replicas = replicas;
  }

  /** Notes a step only when it changes the number. */
  clamp(reason: ScaleReason, replicas: number, text: string): void {
    if (replicas !== this.replicas) this.apply(reason, replicas, text);
  }

  get reason(): ScaleReason {
    let reason: ScaleReason = this.list[0]?.reason ?? "load";
    let replicas = this.list[0]?.replicas;
    for (const step of this.list) {
      // What is wanted by hand is so because of that, also when something else comes to the same.
      if (step.replicas !== replicas || step.reason === "by-hand") reason = step.reason;
      replicas = step.replicas;
    }
    return reason;
  }
}

import { availableParallelism, totalmem } from "node:os";
import { socketPathOf } from "../../kit/bind-address.ts";
import { integerFrom } from "../../kit/parse.ts";

/** More share nothing but trouble: each has its own memory and its own connections to replicas. */
const MAX_WORKERS = 64;
/** Of those that nobody has asked for. */
const MAX_DEFAULT = 8;

/** @param bindAddress where the gateway listens: only a port can be shared */
export function parseWorkers(bindAddress: string): (text: string) => number {
  return (text) => {
    const workers = integerFrom(1)(text);
    if (workers > MAX_WORKERS) throw new Error(`must be at most ${MAX_WORKERS}`);
    if (workers > 1 && socketPathOf(bindAddress) !== undefined) {
      throw new Error("must be 1 with a bind_address of unix:, which threads cannot share");
    }
    return workers;
  };
}

/** What a worker may need under load, and all else of the gateway. */
const WORKER_BYTES = 96 * 1024 ** 2;
const REST_BYTES = 128 * 1024 ** 2;

export interface Machine {
  /** Cores that this process may use. */
  readonly cores: number;
  /** Memory that it may use. */
  readonly memoryBytes: number;
  /** As of `process.platform`. */
  readonly platform: string;
}

/** Workers of a gateway that has the machine for itself: one core is left to the main thread. */
export function defaultWorkers({ cores, memoryBytes, platform }: Machine, bindAddress: string): number {
  // Other systems do not spread connections over those who share a port.
  if (platform !== "linux" || socketPathOf(bindAddress) !== undefined) return 1;
  const fitting = Math.floor((memoryBytes - REST_BYTES) / WORKER_BYTES);
  return Math.max(1, Math.min(MAX_DEFAULT, cores - 1, fitting));
}

export function thisMachine(): Machine {
  // 0, or far more than there is, where nothing limits the process.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  const memoryBytes = Math.min(totalmem(), constrained);
  return { cores: availableParallelism(), memoryBytes, platform: process.platform };
}

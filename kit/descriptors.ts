import { readFileSync } from "node:fs";

/**
 * File descriptors that this process may have open, sockets included; Infinity where the system does not tell. Node has
 * raised the limit as far as the system allows before anything of ours runs.
 */
export function descriptorLimit(limits: () => string = () => readFileSync("/proc/self/limits", "latin1")): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(limits())?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY; // no /proc
  }
}

/** How many connections of each kind fit under a limit of descriptors. */
export interface ConnectionShares {
  /** Calls at a time, each of which may need another connection to a function. */
  readonly calls: number;
  /** Of callers and to functions together: callers that are idle may have what no call needs. */
  readonly callers: number;
  /** At the provider's own port. */
  readonly provider: number;
  /** From a gateway to the provider, which may be in the same process and then takes two descriptors for each. */
  readonly toProvider: number;
  readonly metrics: number;
}

const LEAST: Omit<ConnectionShares, "callers"> = { calls: 16, provider: 12, toProvider: 6, metrics: 6 };
const MOST_TO_PROVIDER = 256;

/**
 * Shares of `descriptors` such that no number of clients can keep the platform from its own files and processes, for
 * which a quarter is kept back.
 */
export function shareConnections(descriptors: number): ConnectionShares {
  const control = descriptors / 8;
  const at = (kind: keyof typeof LEAST, share: number) => Math.max(LEAST[kind], Math.floor(share));
  const calls = at("calls", (descriptors * (1 - 1 / 4 - 1 / 8)) / 2);
  return {
    calls,
    callers: 2 * calls,
    provider: at("provider", control / 2),
    toProvider: Math.min(MOST_TO_PROVIDER, at("toProvider", control / 4)),
    metrics: at("metrics", control / 4),
  };
}

/** Below this the machine serves few callers at a time, and people should know why. */
export const LOW_DESCRIPTORS = 4096;

import { buildServerTiming } from "../core/server-timing.ts";
import type { FunctionMeter } from "./function-meter.ts";
import type { ReplicaConnection } from "./replica.ts";
import type { StartupTallies } from "./startup-tallies.ts";

/** The time of one call that has to wait for a replica. Calls that need not wait never make one. */
export class ColdWait {
  readonly #heldAt = performance.now();
  #sentAt: number | undefined;

  sent(): void {
    this.#sentAt = performance.now();
  }

  /** How long it waited: until it was sent, or is given up now. */
  seconds(now: number): number {
    return ((this.#sentAt ?? now) - this.#heldAt) / 1000;
  }

  /** Adds what the call waited for to the answer's own `Server-Timing`. */
  tell(
    headers: Record<string, string | string[]>,
    replica: Pick<ReplicaConnection, "announcedAt" | "startup" | "startupCounted">,
    meter: Pick<FunctionMeter, "firstByte">,
    startups: StartupTallies,
  ): void {
    const now = performance.now();
    const firstByteMs = now - this.#heldAt;
    const isCold = replica.announcedAt >= this.#heldAt;
    meter.firstByte(firstByteMs / 1000, isCold);
    // How one came up that had been there before, and was perhaps only out of reach, explains nothing.
    const startup = isCold ? replica.startup : undefined;
    if (startup && !replica.startupCounted) {
      replica.startupCounted = true;
      startups.observe(startup);
    }
    const timing = buildServerTiming({ heldMs: this.seconds(now) * 1000, firstByteMs, startup });
    const own = headers["server-timing"];
    headers["server-timing"] = own === undefined ? timing : [own, timing].flat();
  }
}

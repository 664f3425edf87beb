import { buildServerTiming } from "../core/server-timing.ts";
import type { FunctionMeter } from "./function-meter.ts";
import type { ReplicaConnection } from "./replica.ts";

/** The time of one call that has to wait for a replica. Calls that need not wait never make one. */
export class ColdWait {
  readonly #heldAt = performance.now();
  #sentAt = this.#heldAt;

  sent(): void {
    this.#sentAt = performance.now();
  }

  /** Adds what the call waited for to the answer's own `Server-Timing`. */
  tell(
    headers: Record<string, string | string[]>,
    replica: Pick<ReplicaConnection, "announcedAt" | "startup"> | undefined,
    meter: Pick<FunctionMeter, "firstByte">,
  ): void {
    const firstByteMs = performance.now() - this.#heldAt;
    meter.firstByte(firstByteMs / 1000);
    // How one came up that had been there before, and was perhaps only out of reach, explains nothing.
    const startup = replica && replica.announcedAt >= this.#heldAt ? replica.startup : undefined;
    const timing = buildServerTiming({ heldMs: this.#sentAt - this.#heldAt, firstByteMs, startup });
    const own = headers["server-timing"];
    headers["server-timing"] = own === undefined ? timing : [own, timing].flat();
  }
}

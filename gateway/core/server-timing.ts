import { STARTUP_PHASES, type Startup } from "../../contract/endpoints.ts";

/** How a call fared that had to wait for a replica; all in milliseconds. */
export interface ColdCall {
  /** From its arrival until it was sent to a replica. */
  readonly heldMs: number;
  /** From its arrival until the answer began. */
  readonly firstByteMs: number;
  /** Of the replica that it got, when that has just come up. */
  readonly startup: Startup | undefined;
}

/**
 * Value of a `Server-Timing` header. Phases are counted from the replica's creation, which is a little after the call's
 * arrival.
 * @see https://www.w3.org/TR/server-timing/
 */
export function buildServerTiming({ heldMs, firstByteMs, startup = {} }: ColdCall): string {
  const phases = STARTUP_PHASES.map((phase) => [phase, startup[phase]] as const);
  return [["hold", heldMs] as const, ...phases, ["first-byte", firstByteMs] as const]
    .flatMap(([name, ms]) => (ms === undefined ? [] : [`faaslane-${name};dur=${Number(ms.toFixed(1))}`]))
    .join(", ");
}

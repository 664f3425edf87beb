/** What a sink's owner is told, as this process has seen it. */
export interface SinkStatus {
  /** `idle`: nothing is sent, and nothing is open. */
  readonly state: "idle" | "open" | "failing";
  /** Why it fails, without secrets. */
  readonly problem?: string;
  readonly sent: number;
  readonly errors: number;
  /** Milliseconds since the epoch. */
  readonly lastSentAt?: number;
  readonly lastErrorAt?: number;
}

export const UNUSED: SinkStatus = { state: "idle", sent: 0, errors: 0 };

import type { Logger } from "../../../kit/log.ts";
import type { NatsCredentials } from "../../nats/credentials.ts";
import { completeLimits } from "../call-limits.ts";
import { DEFAULT_RESERVED_BYTES } from "../reserved-bytes.ts";
import type { CallLimits } from "../stats.ts";

export interface JetStreamLimits {
  /** Calls on their way to the server; more are `overloaded`. Default 16,384 and 64 MiB. */
  readonly maxUnstored?: number;
  readonly maxUnstoredBytes?: number;
  /** Dead calls kept, in number and bytes; the oldest go first. Default 10,000 and a fifth of what is reserved. */
  readonly maxDead?: number;
  readonly maxDeadBytes?: number;
  /** Records of finished calls kept, in number and bytes; the oldest go first. Default 1,000,000 and the rest of that. */
  readonly maxFinished?: number;
  readonly maxFinishedBytes?: number;
  /**
   * What is stored of the members of unfinished batches, up to three messages each; while there are more, new members
   * are `overloaded`. Default 2,000,000.
   */
  readonly maxMembers?: number;
  /** How often a call may be under way when a worker vanishes before it is dead. Default 10. */
  readonly maxInterruptions?: number;
}

export interface JetStreamQueueOptions {
  /** `host:port` or `nats://host:port`, of one cluster. */
  readonly servers: readonly string[];
  readonly credentials?: NatsCredentials;
  /** Copies of each stream in the cluster, 1 to 5. Default 1. */
  readonly replicas?: number;
  readonly storage?: "file" | "memory";
  /**
   * What the streams of finished calls and of dead letters reserve on each server that has a copy: four fifths and one
   * fifth of it. Default 1.25 GiB.
   */
  readonly reservedBytes?: number;
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  /** How long the status of a finished call is known, and its result; 0 keeps no results, and a status for a minute. */
  readonly resultTtlMs: number;
  readonly limits?: JetStreamLimits;
  /** Unfinished calls that are taken; more are `overloaded`. Defaults: {@link completeLimits}. */
  readonly callLimits?: Partial<CallLimits>;
  /** A worker that has been silent for so long is gone, and its calls are delivered again. Default 30 s. */
  readonly ackWaitMs?: number;
  /** How long a publisher waits at most for a server that is away. Default 2 s. */
  readonly publishTimeoutMs?: number;
  /** How often queues are looked through for functions with work. Default 1.5 s. */
  readonly pollMs?: number;
  /** Told when a connection has been made anew. */
  readonly onReconnect?: () => void;
  readonly log: Pick<Logger, "debug" | "info" | "warn" | "error">;
}

/** {@link JetStreamQueueOptions} with every default filled in. */
export type JetStreamSettings = Required<
  Omit<JetStreamQueueOptions, "credentials" | "limits" | "callLimits" | "onReconnect">
> & {
  readonly limits: Required<JetStreamLimits>;
  readonly callLimits: CallLimits;
};

const MIB = 1024 ** 2;

export function withDefaults(options: JetStreamQueueOptions): JetStreamSettings {
  const { credentials: _, limits, callLimits, onReconnect: _o, ...rest } = options;
  const { reservedBytes = DEFAULT_RESERVED_BYTES } = options;
  const maxDeadBytes = Math.floor(reservedBytes / 5);
  return {
    replicas: 1,
    storage: "file",
    ackWaitMs: 30_000,
    publishTimeoutMs: 2000,
    pollMs: 1500,
    ...rest,
    reservedBytes,
    callLimits: completeLimits(callLimits ?? {}),
    limits: {
      maxUnstored: 16_384,
      maxUnstoredBytes: 64 * MIB,
      maxDead: 10_000,
      maxDeadBytes,
      maxFinished: 1_000_000,
      maxFinishedBytes: reservedBytes - maxDeadBytes,
      maxMembers: 2_000_000,
      maxInterruptions: 10,
      ...limits,
    },
  };
}

import type { NatsCredentials } from "../../../gateway/nats/credentials.ts";
import type { Logger } from "../../../kit/log.ts";

export interface JetStreamEventsOptions {
  /** `host:port` or `nats://host:port`, of one cluster. */
  readonly servers: readonly string[];
  readonly credentials?: NatsCredentials;
  /** Copies of each stream in the cluster, 1 to 5. Default 1. */
  readonly replicas?: number;
  readonly storage?: "file" | "memory";
  /** Of one event: attributes, headers and data. What the server takes bounds it, too. Default 1 MiB. */
  readonly maxEventBytes?: number;
  /** A worker that has been silent for so long is gone, and its deliveries are made by others. Default 30 s. */
  readonly ackWaitMs?: number;
  /** When another process takes over to route, after one that did has vanished. Default 5 s. */
  readonly leaseMs?: number;
  /** How long is waited at most for a server that is away. Default 2 s. */
  readonly publishTimeoutMs?: number;
  /** How often is looked for triggers with deliveries that nobody has told of. Default 1.5 s. */
  readonly pollMs?: number;
  /** Data of an event that is larger is not kept once it is delivered. Default 64 KiB. */
  readonly keepDataBytes?: number;
  /** Told when a connection has been made anew. */
  readonly onReconnect?: () => void;
  /** Told when a server that came later will never do: it is too old. */
  readonly onFailure?: (error: Error) => void;
  readonly log: Pick<Logger, "debug" | "info" | "warn" | "error">;
}

/** {@link JetStreamEventsOptions} with every default filled in. */
export type JetStreamEventsSettings = Required<
  Omit<JetStreamEventsOptions, "credentials" | "onReconnect" | "onFailure">
>;

export function withEventDefaults(options: JetStreamEventsOptions): JetStreamEventsSettings {
  const { credentials: _c, onReconnect: _o, onFailure: _f, ...rest } = options;
  return {
    replicas: 1,
    storage: "file",
    maxEventBytes: 1024 ** 2,
    ackWaitMs: 30_000,
    leaseMs: 5000,
    publishTimeoutMs: 2000,
    pollMs: 1500,
    keepDataBytes: 64 * 1024,
    ...rest,
  };
}

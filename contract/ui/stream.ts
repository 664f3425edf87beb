import type { RolloutState } from "../versions/rollout-state.ts";

/** What can be followed by `GET /ui/api/stream?topics=functions,queue`. */
export const UI_TOPICS = ["functions", "queue", "events", "platform"] as const;
export type UiTopic = (typeof UI_TOPICS)[number];

/** One function, as lists show it. */
export interface FunctionRow {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Wanted, and ready. */
  readonly replicas: number;
  readonly available: number;
  /** Calls that have ended, ever. */
  readonly calls: number;
  /** Of the last minute: calls a second, share of failed ones (0 to 1), and 95th percentile in milliseconds. */
  readonly rate: number;
  readonly errors: number;
  readonly p95Ms?: number;
  readonly inFlight: number;
  /** Calls that wait for a replica. */
  readonly held: number;
  /** Why replicas do not start. */
  readonly problem?: string;
  /** `v3=90,v4=10`, where there is more than one version. */
  readonly traffic?: string;
  readonly rollout?: RolloutState;
  /** Calls a second in each of the last 15 minutes, oldest first. */
  readonly spark: readonly number[];
}

export interface QueueRow {
  readonly queue: string;
  readonly waiting: number;
  readonly running: number;
  readonly dead: number;
  /** Milliseconds that the oldest has waited. */
  readonly oldestMs?: number;
  /** A second, over the last minute. */
  readonly published: number;
  readonly finished: number;
}

export interface LiveBroker {
  readonly namespace: string;
  readonly broker: string;
  readonly events: number;
  readonly pending: number;
  readonly open: number;
  readonly dead: number;
}

export interface PlatformRow {
  readonly part: "gateway" | "provider" | "queue" | "events" | "prometheus";
  readonly state: "ok" | "away" | "off";
  readonly release?: string;
  readonly problem?: string;
  /** e.g. `jetstream`, `embedded`, `kubernetes`. */
  readonly kind?: string;
  readonly leads?: boolean;
}

export interface UiTopics {
  readonly functions: FunctionRow;
  readonly queue: QueueRow;
  readonly events: LiveBroker;
  readonly platform: PlatformRow;
}

/**
 * What a stream tells: an event each of `snapshot` and `patch` with these data. A patch has the rows that have changed, and the keys of
 * those that are gone. `gap` without data: the reader was too slow, and a snapshot follows.
 */
export interface UiUpdate<T extends UiTopic = UiTopic> {
  readonly topic: T;
  /** By key: `name.namespace` of a function, the queue's, broker's or part's name. */
  readonly rows: Readonly<Record<string, UiTopics[T]>>;
  readonly gone?: readonly string[];
  /** By the gateway's clock. */
  readonly now: number;
  /** Why there is nothing to tell, e.g. that there is no queue. */
  readonly problem?: string;
}

/** Names of what is kept over time of a function. Rates are a second; times in milliseconds. */
export const SERIES = [
  "calls",
  "errors",
  "p50Ms",
  "p95Ms",
  "p99Ms",
  "inFlight",
  "held",
  "replicas",
  "available",
  "cpuPercent",
  "memoryMib",
  "coldStarts",
] as const;
export type SeriesName = (typeof SERIES)[number];

/** Steps that are kept, in seconds, and for how many of them: 15 minutes, 6 hours, 7 days. */
export const SERIES_STEPS = [
  { seconds: 1, points: 900 },
  { seconds: 10, points: 2_160 },
  { seconds: 60, points: 10_080 },
] as const;

/**
 * `GET /ui/api/series?function=NAME.NAMESPACE&names=calls,p95Ms&since=MS&until=MS&points=600`: by the finest step that goes back so far,
 * or by a multiple of it where there would be more points. Without `function` of all functions together, of a `namespace=` if one is
 * named. The last point may not be over.
 */
export interface SeriesAnswer {
  readonly stepSeconds: number;
  /** Of the first point, in milliseconds since the epoch. */
  readonly from: number;
  /** Null where nothing is known. All have as many points. */
  readonly series: Readonly<Partial<Record<SeriesName, readonly (number | null)[]>>>;
  /** Calls a second by status class: `2xx`, …, of the same points. */
  readonly byCode: Readonly<Record<string, readonly (number | null)[]>>;
}

/** A call that has ended, as the gateway remembers the latest ones. */
export interface CallRow {
  /** Its call id, mostly; callers may give the same to several. */
  readonly id: string;
  /** Where that is not its id. */
  readonly callId?: string;
  readonly function: string;
  readonly namespace: string;
  readonly version?: string;
  readonly replica?: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  /** Whether it waited for a replica to start. */
  readonly cold: boolean;
  readonly asynchronous: boolean;
  /** Whether it brought an event. */
  readonly event?: boolean;
  /**
   * Milliseconds of its phases, in order: `wait` (until it was given to a replica), `connect`, `function` (until the first byte), `answer`.
   * Together they are as long as the call; those that it has not come to are left out.
   */
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
  readonly requestBytes?: number;
  readonly responseBytes?: number;
  /** Code of an answer of the platform's own. */
  readonly error?: string;
}

/** `GET /ui/api/calls/ID`: one of them, with what is too much for a list. */
export interface CallDetail extends CallRow {
  /** As far as they were kept; values of secret ones are replaced. Names in lower case. */
  readonly requestHeaders?: Readonly<Record<string, string>>;
  readonly responseHeaders?: Readonly<Record<string, string>>;
  /** Of a cold start: what the replica took its time for. */
  readonly startup?: readonly { readonly name: string; readonly ms: number }[];
  readonly traceId?: string;
}

/** Which calls are asked for by `GET /ui/api/calls?function=…&preset=…`. */
export const CALL_PRESETS = ["all", "errors", "slow", "cold"] as const;
export type CallPreset = (typeof CALL_PRESETS)[number];

/** Newest first. */
export interface CallsAnswer {
  readonly calls: readonly CallRow[];
  /** Milliseconds since the epoch since when calls are kept: only while somebody looks, and for a while after. */
  readonly since: number;
  /** So many more calls came since then, too many at once for all of them to be kept; absent when there were none. */
  readonly leftOut?: number;
  /** Ask with `before=…` for older ones. */
  readonly next?: string;
}

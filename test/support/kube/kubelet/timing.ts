/** How long a node takes for things, in milliseconds. */
export interface Timing {
  /** From being given a pod to its process being started: the sandbox with its network. */
  readonly sandboxMs: number;
  /** From the process being started to the API showing that and the pod's address. */
  readonly reportMs: number;
  /** From a readiness probe's success to the API showing it. */
  readonly readyReportMs: number;
  /** First wait before a crashed container is started again; it doubles each time, up to the limit. */
  readonly crashBackoffMs: number;
  readonly crashBackoffLimitMs: number;
  /** Wait before an image is tried again. */
  readonly pullBackoffMs: number;
  /** Until its first success, a readiness probe is tried this often and at once; undefined does what the probe says. */
  readonly eagerProbeMs: number | undefined;
}

/** As quick as can be. */
export const QUICK: Timing = {
  sandboxMs: 0,
  reportMs: 0,
  readyReportMs: 0,
  crashBackoffMs: 100,
  crashBackoffLimitMs: 2_000,
  pullBackoffMs: 200,
  eagerProbeMs: 10,
};

/** As a real node was measured: the process is up after 0.47 s, its address shows after 0.84 s, Ready after 1.8 s. */
export const REAL_NODE: Timing = {
  sandboxMs: 440,
  reportMs: 370,
  readyReportMs: 0,
  crashBackoffMs: 10_000,
  crashBackoffLimitMs: 300_000,
  pullBackoffMs: 10_000,
  eagerProbeMs: undefined,
};

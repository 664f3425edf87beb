const UNIT: Record<string, number> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Bytes of a Kubernetes quantity such as `128Mi`, `1e9` or `64M`; undefined for anything else. */
export function parseQuantity(text: string): number | undefined {
  const match = /^\+?(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d+)|([kMGTPE]i?|m|Ki))?$/.exec(text);
  if (!match) return undefined;
  const factor = match[2] ? Number(`1${match[2]}`) : UNIT[match[3] ?? ""];
  return factor === undefined ? undefined : Number(match[1]) * factor;
}

/** Below this V8 spends its time collecting garbage before it has loaded anything. */
const SMALLEST_HEAP_MIB = 32;

/**
 * Arguments for node that hold a function to its memory limit. Only a handler inside the watchdog's own process can be
 * held without control groups: its heap gets three quarters of the limit, the rest is for the runtime. Functions of
 * other kinds run without a limit.
 */
export function heapArguments(memory: string | undefined, environment: Readonly<Record<string, string>>): string[] {
  const bytes = parseQuantity(memory ?? "") ?? 0;
  if (environment.mode !== "inproc" || bytes <= 0) return [];
  const mebibytes = Math.max(SMALLEST_HEAP_MIB, Math.floor((bytes * 0.75) / 2 ** 20));
  return [`--max-old-space-size=${mebibytes}`];
}

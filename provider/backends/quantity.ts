const UNIT: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
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

/** Value of a Kubernetes quantity such as `128Mi`, `100m` or `1e9`; undefined for anything else, negative ones too. */
export function parseQuantity(text: string): number | undefined {
  const match = /^\+?(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?$/.exec(text);
  if (!match) return undefined;
  const factor = match[2] ? Number(`1${match[2]}`) : UNIT[match[3] ?? ""];
  return factor === undefined ? undefined : Number(match[1]) * factor;
}

const UNIT: Record<string, number> = {
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

/** Parts of one. Dividing by a whole number keeps 2300m and 2.3 equal; multiplying by a fraction does not. */
const PART: Record<string, number> = { n: 1e9, u: 1e6, m: 1e3 };

const QUANTITY = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?$/;
const MAX_CHARS = 64;

/** Value of a Kubernetes quantity such as `128Mi`, `100m` or `1e9`; undefined for anything else, negative ones too. */
export function parseQuantity(text: string): number | undefined {
  const match = text.length <= MAX_CHARS ? QUANTITY.exec(text) : null;
  if (!match) return undefined;
  const number = Number(match[1]);
  if (match[2]) return number * Number(`1${match[2]}`);
  const suffix = match[3] ?? "";
  const part = PART[suffix];
  return part === undefined ? number * (UNIT[suffix] as number) : number / part;
}

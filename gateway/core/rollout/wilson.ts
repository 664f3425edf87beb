/** Of the normal distribution, for 95 %. */
const Z = 1.96;

export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * Where the true share lies with 95 % when `hits` of `of` were seen: everywhere when nothing was.
 * @see https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
 */
export function wilsonInterval(hits: number, of: number): Interval {
  if (of === 0) return { lower: 0, upper: 1 };
  const share = hits / of;
  const square = Z * Z;
  const middle = share + square / (2 * of);
  const spread = Z * Math.sqrt((share * (1 - share)) / of + square / (4 * of * of));
  const scale = 1 + square / of;
  return { lower: Math.max(0, (middle - spread) / scale), upper: Math.min(1, (middle + spread) / scale) };
}

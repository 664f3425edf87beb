/**
 * A percentile of what was counted by bucket, in the unit of the bounds: between the bounds of its bucket; the highest bound for what is
 * above all.
 * @param bounds upper ones, rising
 * @param count how many are in the bucket at a place, the last place being that above all bounds
 * @param part from 0 to 1
 * @returns undefined when nothing was counted
 */
export function percentile(
  bounds: readonly number[],
  count: (place: number) => number,
  part: number,
): number | undefined {
  let all = 0;
  for (let place = 0; place <= bounds.length; place++) all += count(place);
  if (all === 0) return undefined;
  const wanted = all * part;
  let below = 0;
  for (const [place, bound] of bounds.entries()) {
    const inside = count(place);
    if (inside > 0 && below + inside >= wanted) {
      const from = place === 0 ? 0 : (bounds[place - 1] as number);
      return from + ((bound - from) * (wanted - below)) / inside;
    }
    below += inside;
  }
  return bounds.at(-1);
}

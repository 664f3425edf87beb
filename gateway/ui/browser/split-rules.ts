/** One row of a split that is being edited. */
export interface EditedTarget {
  readonly version: string;
  /** As it is typed. */
  readonly percent: string;
  /** Its tags, separated by commas or spaces. */
  readonly tag: string;
}

const PERCENT = /^\d{1,3}(\.\d{1,2})?$/;
const TAG = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** What is wrong with a split, a sentence each; none when it can be sent. */
export function splitProblems(targets: readonly EditedTarget[]): string[] {
  const problems = targets.flatMap(({ version, percent, tag }) => [
    ...(PERCENT.test(percent) && Number(percent) <= 100
      ? []
      : [`${version}: must be a percentage of 0 to 100 with at most two decimals`]),
    ...(tagsIn(tag).every((each) => TAG.test(each)) ? [] : [`${version}: a tag is lower-case letters, digits and -`]),
  ]);
  const tags = targets.flatMap(({ tag }) => tagsIn(tag));
  for (const tag of new Set(tags)) {
    if (tags.filter((each) => each === tag).length > 1) problems.push(`the tag ${tag} is given twice`);
  }
  if (problems.length > 0) return problems;
  const sum = targets.reduce((all, { percent }) => all + hundredths(percent), 0);
  return sum === 10_000 ? [] : [`the percentages add up to ${sum / 100}, not to 100`];
}

/** As the API takes it: of a version with several tags one target has the share, and the others none. */
export function targetsOf(targets: readonly EditedTarget[]) {
  return targets.flatMap(({ version, percent, tag }) => {
    const share = hundredths(percent);
    const [first, ...others] = tagsIn(tag);
    return [
      ...(share > 0 || first !== undefined ? [{ version, share, ...(first !== undefined && { tag: first }) }] : []),
      ...others.map((other) => ({ version, share: 0, tag: other })),
    ];
  });
}

/** What the percentages add up to; undefined while one is none. */
export function sumOf(targets: readonly EditedTarget[]): number | undefined {
  if (!targets.every(({ percent }) => PERCENT.test(percent))) return undefined;
  return targets.reduce((all, { percent }) => all + hundredths(percent), 0) / 100;
}

function tagsIn(text: string): string[] {
  return text.split(/[\s,]+/).filter((tag) => tag !== "");
}

function hundredths(percent: string): number {
  return Math.round(Number(percent) * 100);
}

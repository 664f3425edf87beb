/** One row of a split that is being edited. */
export interface EditedTarget {
  readonly version: string;
  /** As it is typed. */
  readonly percent: string;
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
    ...(tag === "" || TAG.test(tag) ? [] : [`${version}: a tag is lower-case letters, digits and -`]),
  ]);
  const tags = targets.map(({ tag }) => tag).filter((tag) => tag !== "");
  for (const tag of new Set(tags)) {
    if (tags.filter((each) => each === tag).length > 1) problems.push(`the tag ${tag} is given twice`);
  }
  if (problems.length > 0) return problems;
  const sum = targets.reduce((all, { percent }) => all + hundredths(percent), 0);
  return sum === 10_000 ? [] : [`the percentages add up to ${sum / 100}, not to 100`];
}

/** As the API takes it. */
export function targetsOf(targets: readonly EditedTarget[]) {
  return targets
    .filter(({ percent, tag }) => hundredths(percent) > 0 || tag !== "")
    .map(({ version, percent, tag }) => ({ version, share: hundredths(percent), ...(tag !== "" && { tag }) }));
}

function hundredths(percent: string): number {
  return Math.round(Number(percent) * 100);
}

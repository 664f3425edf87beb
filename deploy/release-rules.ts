/** What the files of a release say of it. */
export interface ReleaseFiles {
  /** Of package.json. */
  readonly version: string;
  /** Of package-lock.json, where it is twice. */
  readonly locked: readonly string[];
  /** `version` and `appVersion` of the chart. */
  readonly chart: readonly string[];
  readonly changelog: string;
  /** Tags of the commit that is checked out. */
  readonly tags: readonly string[];
}

const VERSION = /^(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]+)?$/;
const HEADING = /^## (\S+)(?: \((.*)\))?$/gm;
const PENDING = "not released yet";

/** The newest version that a changelog has a heading for, and the day that is beside it. */
export function newestRelease(changelog: string): { readonly version: string; readonly date: string } | undefined {
  for (const [, version = "", date = ""] of changelog.matchAll(HEADING)) {
    if (VERSION.test(version)) return { version, date };
  }
  return undefined;
}

/** What is wrong with a release, each in a line; nothing when it may be made. */
export function checkRelease({ version, locked, chart, changelog, tags }: ReleaseFiles): string[] {
  const problems: string[] = [];
  const newest = newestRelease(changelog);
  if (!VERSION.test(version)) problems.push(`package.json: ${version} is no version such as 1.2.3`);
  if (newest?.version !== version) {
    const has = newest === undefined ? "names no version" : `begins with ${newest.version}`;
    problems.push(`CHANGELOG.md ${has}, package.json with ${version}`);
  }
  if (locked.some((one) => one !== version)) problems.push(`package-lock.json is of ${locked.join(" and ")}`);
  if (chart.some((one) => one !== version)) problems.push(`deploy/chart/Chart.yaml is of ${chart.join(" and ")}`);
  const isDated = /^\d{4}-\d\d-\d\d$/.test(newest?.date ?? "");
  if (!isDated && newest?.date !== PENDING) {
    problems.push(
      `CHANGELOG.md: the heading of ${newest?.version ?? "a version"} ends with (2026-01-31), or with (${PENDING})`,
    );
  }
  const tagged = tags.filter((tag) => VERSION.test(tag.slice(1)) && tag.startsWith("v"));
  for (const tag of tagged) {
    if (tag !== `v${version}`) problems.push(`the tag ${tag} is at a commit of ${version}`);
    else if (!isDated) problems.push(`the tag ${tag} is at a commit whose changelog has no day for it`);
  }
  return problems;
}

/** The changelog with a day beside its newest version, which becomes `version`. @throws {Error} when it has none that waits */
export function datedChangelog(changelog: string, version: string, date: string): string {
  const newest = newestRelease(changelog);
  if (newest?.date !== PENDING) {
    throw new Error(`CHANGELOG.md: there is nothing to release below a heading such as: ## ${version} (${PENDING})`);
  }
  return changelog.replace(`## ${newest.version} (${PENDING})`, `## ${version} (${date})`);
}

/** Whether `later` comes after `earlier`; what is behind a hyphen counts as it stands. */
export function isLater(later: string, earlier: string): boolean {
  return later.localeCompare(earlier, "en", { numeric: true }) > 0;
}

/** @throws {Error} naming the rule */
export function requireVersion(text: string): string {
  if (VERSION.test(text)) return text;
  throw new Error(`"${text}" is no version: it must be such as 1.2.3`);
}

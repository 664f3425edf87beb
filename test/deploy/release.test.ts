import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { checkRelease, datedChangelog, isLater } from "../../deploy/release-rules.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";

const CHANGELOG = "# Changelog\n\n## 1.2.0 (not released yet)\n\n### Added\n\n- A thing.\n\n## 1.1.0 (2026-01-02)\n";
const DATED = CHANGELOG.replace("not released yet", "2026-02-03");
const release = {
  version: "1.2.0",
  locked: ["1.2.0", "1.2.0"],
  chart: ["1.2.0", "1.2.0"],
  changelog: DATED,
  tags: ["v1.2.0"],
};

test.each<[rule: string, given: Partial<typeof release>, problems: string[]]>([
  ["one that is tagged", {}, []],
  ["one on its way, without a tag", { changelog: CHANGELOG, tags: [] }, []],
  ["what comes after a release", { changelog: `## Unreleased\n\n${DATED}`, tags: [] }, []],
  ["other tags", { tags: ["v1.2.0", "nightly"] }, []],
  [
    "another newest heading",
    { changelog: DATED.replace("1.2.0", "1.3.0") },
    ["CHANGELOG.md begins with 1.3.0, package.json with 1.2.0"],
  ],
  [
    "no heading",
    { changelog: "# Changelog\n" },
    ["CHANGELOG.md names no version", "the heading of a version ends with", "no day for it"],
  ],
  ["a lock file that was left behind", { locked: ["1.2.0", "1.1.0"] }, ["package-lock.json is of 1.2.0 and 1.1.0"]],
  ["a chart of another version", { chart: ["1.1.0", "1.2.0"] }, ["Chart.yaml is of 1.1.0 and 1.2.0"]],
  ["a tag of another version", { tags: ["v1.1.0"] }, ["the tag v1.1.0 is at a commit of 1.2.0"]],
  ["a tag before its day", { changelog: CHANGELOG }, ["v1.2.0 is at a commit whose changelog has no day"]],
  ["no version", { version: "1.2", changelog: DATED, tags: [] }, ["1.2 is no version", "begins with", "lock", "Chart"]],
])("a release: %s", (_rule, given, problems) => {
  const found = checkRelease({ ...release, ...given });
  expect(found).toEqual(problems.map((problem) => expect.stringContaining(problem)));
});

test("a changelog gets its day, and only where something waits", () => {
  expect(datedChangelog(CHANGELOG, "1.3.0", "2026-02-03")).toBe(DATED.replace("1.2.0", "1.3.0"));
  expect(() => datedChangelog(DATED, "1.3.0", "2026-02-03")).toThrow("nothing to release");
});

test.each([
  ["1.10.0", "1.9.9", true],
  ["1.0.0", "1.0.0", false],
  ["0.9.0", "1.0.0", false],
])("%s after %s: %s", (later, earlier, is) => expect(isLater(later, earlier)).toBe(is));

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

test("the procedure sets the version everywhere, commits and tags it", () => {
  for (const path of ["package.json", "package-lock.json", "CHANGELOG.md", "deploy/chart/Chart.yaml"]) {
    cpSync(join(ROOT, path), join(folder.path, path));
  }
  mkdirSync(join(folder.path, "deploy"), { recursive: true });
  for (const name of ["release.ts", "release-rules.ts"]) {
    cpSync(join(ROOT, "deploy", name), join(folder.path, "deploy", name));
  }
  const inFolder = { cwd: folder.path, encoding: "utf8", stdio: "pipe" } as const;
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], inFolder).trim();
  git("init", "--quiet");
  git("config", "user.name", "a");
  git("config", "user.email", "a@b");
  git("add", "--all");
  git("commit", "--quiet", "--message", "before");
  const run = (...args: string[]) => {
    try {
      return execFileSync(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", "deploy/release.ts", ...args],
        inFolder,
      );
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
  };
  expect(run("check")).toMatch(/^\d+\.\d+\.\d+: package, lock file, chart, changelog and tag agree\n$/);
  expect(run("next")).toBe('Error: "next" is no version: it must be such as 1.2.3\n');
  writeFileSync(join(folder.path, "extra"), "");
  expect(run("9.0.0")).toContain("commit first");
  git("clean", "--quiet", "--force");
  expect(run("9.0.0")).toContain("v9.0.0 is tagged");
  expect(git("tag", "--points-at", "HEAD")).toBe("v9.0.0");
  expect(git("log", "-1", "--format=%s")).toBe("release: 9.0.0");
  expect(run("check")).toContain("9.0.0: package");
  expect(JSON.parse(readFileSync(join(folder.path, "package-lock.json"), "utf8"))).toMatchObject({ version: "9.0.0" });
  expect(run("8.0.0")).toBe("Error: 8.0.0 does not come after v9.0.0\n");
});

// Makes a release, or says whether what is checked out is one.
//   npm run release -- 1.2.3     sets the version everywhere, commits and tags it; pushing is left to you
//   npm run release:check        packages, changelog, chart and tag agree, and the package works where it is installed
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkRelease, datedChangelog, isLater, requireVersion } from "./release-rules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const git = (...args: string[]): string => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
const CHART = "deploy/chart/Chart.yaml";
const CHART_VERSION = /^((?:appV|v)ersion: )(\S+)$/gm;

function check(): void {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  const lock = JSON.parse(read("package-lock.json")) as { version: string; packages: { "": { version: string } } };
  const problems = checkRelease({
    version,
    locked: [lock.version, lock.packages[""].version],
    chart: [...read(CHART).matchAll(CHART_VERSION)].map(([, , one]) => one as string),
    changelog: read("CHANGELOG.md"),
    tags: git("tag", "--points-at", "HEAD").split("\n").filter(Boolean),
  });
  if (problems.length > 0) throw new Error(problems.join("\n"));
  process.stdout.write(`${version}: package, lock file, chart, changelog and tag agree\n`);
}

function release(version: string): void {
  requireVersion(version);
  if (git("status", "--porcelain") !== "") throw new Error("commit first: a release is made of what is committed");
  const tags = git("tag", "--list", "v*").split("\n").filter(Boolean);
  const later = tags.find((tag) => !isLater(version, tag.slice(1)));
  if (later) throw new Error(`${version} does not come after ${later}`);
  const date = new Date().toISOString().slice(0, 10);
  writeFileSync(join(root, "CHANGELOG.md"), datedChangelog(read("CHANGELOG.md"), version, date));
  for (const path of ["package.json", "package-lock.json"]) {
    const file = JSON.parse(read(path)) as { version: string; packages?: { "": { version: string } } };
    file.version = version;
    if (file.packages) file.packages[""].version = version;
    writeFileSync(join(root, path), `${JSON.stringify(file, undefined, 2)}\n`);
  }
  writeFileSync(join(root, CHART), read(CHART).replace(CHART_VERSION, `$1${version}`));
  check();
  git("commit", "--all", "--message", `release: ${version}`);
  git("tag", "--annotate", `v${version}`, "--message", `faaslane ${version}`);
  process.stdout.write(`v${version} is tagged. After npm run release:check: git push --follow-tags\n`);
}

try {
  const [what = ""] = process.argv.slice(2);
  if (what === "check") check();
  else release(what);
} catch (error) {
  process.stderr.write(`Error: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "@jest/globals";
import { ROOT, temporaryFolder } from "../support/platform.ts";

const { path: folder, remove } = await temporaryFolder();
afterAll(remove);

/** A clone in which all is built, and an npm that only says what it was asked for. */
function prepareClone(): void {
  for (const name of ["cli", "watchdog", "http", "gateway/ui/browser", "dist/ui", "node_modules", "bin"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  copyFileSync(join(ROOT, "cli/bootstrap.mjs"), join(folder, "cli/bootstrap.mjs"));
  for (const name of ["dist/watchdog.mjs", "dist/ui/index.html", "package-lock.json"])
    writeFileSync(join(folder, name), "");
  const npm = `#!/bin/sh
echo "$*" >> ${folder}/asked
case "$*" in *--omit=dev*) ;; *) mkdir -p ${folder}/node_modules/jest;; esac
touch ${folder}/node_modules/.package-lock.json
`;
  writeFileSync(join(folder, "bin/npm"), npm, { mode: 0o755 });
}

/** What npm was asked for by a start with these arguments. */
function askedBy(...args: string[]): string[] {
  writeFileSync(join(folder, "asked"), "");
  const env = { PATH: `${folder}/bin:${process.env.PATH}` };
  const { status } = spawnSync(process.execPath, [join(folder, "cli/bootstrap.mjs"), ...args], {
    env,
    timeout: 60_000,
  });
  expect(status).toBe(0);
  return readFileSync(join(folder, "asked"), "utf8").split("\n").filter(Boolean);
}

const CI = "ci --no-audit --no-fund --loglevel=error";

test("packages for development are installed once they are needed, and stay", () => {
  prepareClone();
  expect(askedBy("--to-use")).toEqual([`${CI} --omit=dev`]);
  expect(askedBy("--to-use")).toEqual([]);
  expect(askedBy()).toEqual([CI]);
  expect(askedBy()).toEqual([]);
  expect(askedBy("--to-use")).toEqual([]);
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(folder, "package-lock.json"), later, later);
  expect(askedBy("--to-use")).toEqual([CI]);
  rmSync(join(folder, "node_modules"), { recursive: true });
  mkdirSync(join(folder, "node_modules"));
  expect(askedBy()).toEqual([CI]);
});

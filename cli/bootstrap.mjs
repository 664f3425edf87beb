// Runs before every npm script that starts the platform, under whichever Node the machine has: installs what is missing, bundles the
// watchdog and builds the dashboard when their sources are newer. With `--to-use` packages for development are not
// missing: they are more than half of all. Only what Node 18 knows may be used here.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const changedAt = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

// What was installed for development stays so.
const hasTools = existsSync(join(root, "node_modules/jest"));
const isToUse = process.argv.includes("--to-use") && !hasTools;
const isStale = changedAt(join(root, "node_modules/.package-lock.json")) < changedAt(join(root, "package-lock.json"));
if (isStale || !(hasTools || isToUse)) {
  process.stderr.write(`faaslane: installing dependencies${isToUse ? "" : ", those for development too"} (once)\n`);
  // `npm ci` builds what has to be built too: it runs the `prepare` script.
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error", ...(isToUse ? ["--omit=dev"] : [])]);
}

build("dist/watchdog.mjs", "watchdog/bundle.mjs", ["watchdog", "http"]);
build("dist/ui/index.html", "gateway/ui/build.mjs", ["gateway/ui/browser"]);

function build(target, script, folders) {
  const sources = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => changedAt(join(root, folder, name))),
  );
  if (changedAt(join(root, target)) >= Math.max(...sources)) return;
  run(join(root, "node_modules/.bin/node"), [join(root, script)]);
}

function run(command, args) {
  // Standard output belongs to the command that follows.
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) process.stderr.write(`faaslane: cannot run ${command}: ${error.message}\n`);
  if (status !== 0) process.exit(status ?? 1);
}

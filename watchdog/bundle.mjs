// Bundles the watchdog into one file without dependencies: it is copied into every function image, and a single file
// starts faster than a tree of modules.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * What a process does until it knows better. The first process of a container has no default for signals: one that came
 * before there is a handler would be lost, and the container would wait out all of its grace. What takes over later adds
 * a handler of its own.
 */
const FIRST = ["SIGTERM", "SIGHUP"]
  .map((signal) => `process.on("${signal}", () => process.listenerCount("${signal}") === 1 && process.exit(0));`)
  .join("\n");

/**
 * Imports are done before any statement, and an ES import of a module of Node's reads every export of it, among them
 * getters that load more: streams and promises of files, an HTTP client for WebSockets. What is asked for by name is all
 * that is read.
 */
function importLater(text) {
  const later = text.replace(
    /^import \{([^}]*)\} from "(node:[\w/]+)";$/gm,
    (_whole, names, module) => `const {${names.replaceAll(" as ", ": ")}} = process.getBuiltinModule("${module}");`,
  );
  const left = /^import .*$/m.exec(later)?.[0];
  if (left) throw new Error(`watchdog: import modules of Node's by names, unlike ${left}`);
  return later;
}

/** The program, which has no import left. */
export async function bundle() {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["watchdog/main.ts"],
    write: false,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    legalComments: "none",
    logLevel: "warning",
    define: { WATCHDOG_VERSION: JSON.stringify(`faaslane watchdog ${version}`) },
  });
  // Less to read at each start; names stay, for traces.
  const { code } = await transform(`${FIRST}\n${importLater(outputFiles[0].text)}`, {
    minifyWhitespace: true,
    format: "esm",
    target: "node22",
    legalComments: "none",
  });
  return code;
}

export async function writeBundle() {
  const target = join(root, "dist/watchdog.mjs");
  const code = await bundle();
  mkdirSync(join(root, "dist"), { recursive: true });
  // In one step: a watchdog that starts while its file is written anew would read an empty one, and end at once with 0.
  writeFileSync(`${target}.${process.pid}`, code);
  renameSync(`${target}.${process.pid}`, target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeBundle();

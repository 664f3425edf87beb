// Makes the watchdog one executable, for images without Node: Node's own program with the bundle in it.
//   node watchdog/executable.mjs [FILE]        dist/fwatchdog unless said otherwise
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";
import { addNote } from "./elf.mjs";

/** Node looks for a program within itself only after this text has been changed to end with a 1. */
const SWITCH = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:";

/**
 * Node runs such a program as a script, from which a file can be imported with the help of its module system only. That is
 * not settled, which users of a function need not be told.
 */
const LOADER = `function importFile(url) {
  const { compileFunction, constants } = process.getBuiltinModule("node:vm");
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return compileFunction("return import(url)", ["url"], {
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    })(url);
  } finally {
    process.emitWarning = emitWarning;
  }
}`;

/** The bundle as a script. @param {string} text */
function asScript(text) {
  const parts = text.split(/\bimport\(/);
  if (parts.length !== 2) throw new Error(`watchdog: one import of a file is expected, there are ${parts.length - 1}`);
  return `${LOADER}\n(async () => {\n${parts.join("importFile(")}\n})();\n`;
}

/** Node's form of the script, with what V8 has compiled of it. @param {string} script @param {string} folder */
function prepare(script, folder) {
  const file = (name) => join(folder, name);
  writeFileSync(file("watchdog.cjs"), script);
  const config = {
    main: file("watchdog.cjs"),
    output: file("watchdog.blob"),
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
  };
  writeFileSync(file("sea.json"), JSON.stringify(config));
  execFileSync(process.execPath, ["--experimental-sea-config", file("sea.json")], {
    stdio: ["ignore", "ignore", "pipe"], // it is part of the error, if there is one
  });
  return readFileSync(file("watchdog.blob"));
}

/** @param {string} target */
export async function buildExecutable(target) {
  const folder = mkdtempSync(join(tmpdir(), "faaslane-executable-"));
  try {
    const blob = prepare(asScript(await bundle()), folder);
    const program = addNote(readFileSync(process.execPath), "NODE_SEA_BLOB", blob);
    const at = program.indexOf(`${SWITCH}0`);
    if (at === -1) throw new Error(`${process.execPath} cannot hold a program of its own`);
    program.write("1", at + SWITCH.length, "latin1");
    mkdirSync(dirname(target), { recursive: true });
    // One that runs cannot be written to.
    writeFileSync(`${target}.new`, program);
    chmodSync(`${target}.new`, 0o755);
    renameSync(`${target}.new`, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target = fileURLToPath(new URL("../dist/fwatchdog", import.meta.url))] = process.argv.slice(2);
  await buildExecutable(resolve(target));
  process.stdout.write(`${target}\n`);
}

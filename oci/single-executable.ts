import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { addNote, interpreterOf } from "./elf.ts";

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

/** The bundle as a script. */
function asScript(text: string): string {
  const parts = text.split(/\bimport\(/);
  if (parts.length !== 2) throw new Error(`watchdog: one import of a file is expected, there are ${parts.length - 1}`);
  return `${LOADER}\n(async () => {\n${parts.join("importFile(")}\n})();\n`;
}

/** Node's form of the script, with what V8 has compiled of it. */
async function prepare(script: string, node: string, folder: string): Promise<Buffer> {
  const file = (name: string) => join(folder, name);
  await writeFile(file("watchdog.cjs"), script);
  const config = {
    main: file("watchdog.cjs"),
    output: file("watchdog.blob"),
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
  };
  await writeFile(file("sea.json"), JSON.stringify(config));
  await promisify(execFile)(node, ["--experimental-sea-config", file("sea.json")]);
  return await readFile(file("watchdog.blob"));
}

/**
 * Makes the watchdog one program: Node's own with the bundle in it.
 * @param text the bundle, which imports nothing but a handler
 * @param node a program of Node's with all that it needs in it
 * @throws {Error} when that is for another system than Linux with glibc, or shares its parts with other programs
 */
export async function buildExecutable(text: string, node: string, target: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-executable-"));
  try {
    const own = await readFile(node);
    const loader = interpreterOf(own);
    if (loader?.includes("musl")) throw new Error(`${node} is made for musl, which images with glibc cannot run`);
    const program = addNote(own, "NODE_SEA_BLOB", await prepare(asScript(text), node, folder));
    const at = program.indexOf(`${SWITCH}0`);
    if (at === -1) throw new Error(`${node} cannot hold a program of its own`);
    program.write("1", at + SWITCH.length, "latin1");
    await mkdir(dirname(target), { recursive: true });
    // One that runs cannot be written to.
    await writeFile(`${target}.new`, program);
    await chmod(`${target}.new`, 0o755);
    await rename(`${target}.new`, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

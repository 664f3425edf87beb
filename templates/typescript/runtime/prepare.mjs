// Part of the build: makes JavaScript of function/*.ts beside it, or points at what the handler's own build has made.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import module from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";

const FOLDER = join(import.meta.dirname, "../function");
const SOURCE = /(?<!\.d)\.([cm]?)ts$/;
const RELATIVE = /(\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(["'])(\.{1,2}\/[^"'\n]*|\.{1,2})\2/g;

/** All sources of the handler, but for what its packages and its tests have. */
export function listSources(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && SOURCE.test(entry.name) && !/\.test\.[cm]?ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.split(sep).includes("node_modules"));
}

/** What a file imports by `specifier`, as it is called once it is JavaScript. */
function asJavaScript(specifier, from) {
  if (SOURCE.test(specifier)) return specifier.replace(SOURCE, ".$1js");
  const target = resolve(dirname(from), specifier);
  for (const [suffix, becomes] of [
    [".ts", ".js"],
    [".mts", ".mjs"],
    [".cts", ".cjs"],
    [`${sep}index.ts`, "/index.js"],
  ]) {
    if (existsSync(target + suffix)) return specifier.replace(/\/$/, "") + becomes;
  }
  return specifier;
}

/** @throws {Error} naming the file, for what is more than types and does not become JavaScript by taking them away */
export function stripTypes(text, path) {
  let code;
  try {
    code = module.stripTypeScriptTypes(text, { mode: "transform" });
  } catch (error) {
    throw new Error(`${relative(dirname(FOLDER), path)}: ${error.message.trim()}`, { cause: error });
  }
  return code.replace(
    RELATIVE,
    (_, before, quote, specifier) => before + quote + asJavaScript(specifier, path) + quote,
  );
}

function stripAll() {
  process.removeAllListeners("warning"); // that taking types away is young
  for (const path of listSources(FOLDER)) {
    writeFileSync(path.replace(SOURCE, ".$1js"), stripTypes(readFileSync(path, "utf8"), path));
  }
}

/** The handler is what `main` names, wherever the build has put it. */
function pointAtMain(manifest) {
  const candidates = [manifest.main, "dist/handler.js", "build/handler.js", "dist/index.js"];
  const main = candidates.find((name) => typeof name === "string" && existsSync(join(FOLDER, name)));
  if (main === undefined) throw new Error('function/package.json: main names no file that "npm run build" has made');
  const specifier = JSON.stringify(`./${main.replace(/^\.\//, "")}`);
  const lines = [
    `import * as built from ${specifier};`,
    "export default built.default;",
    "export const { handler } = built;",
  ];
  writeFileSync(join(FOLDER, "handler.mjs"), `${lines.join("\n")}\n`);
}

try {
  const manifest = existsSync(join(FOLDER, "package.json"))
    ? JSON.parse(readFileSync(join(FOLDER, "package.json"), "utf8"))
    : {};
  if (process.argv.includes("--built")) pointAtMain(manifest);
  else if (manifest.scripts?.build === undefined) stripAll();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

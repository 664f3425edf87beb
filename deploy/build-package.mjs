// Makes the package in dist/package: the platform compiled to JavaScript, which starts faster and takes less memory than
// its sources, and what it reads at run time. `npm pack dist/package` makes an archive of it; the image has the same
// files. The watchdog is bundled before, by watchdog/bundle.mjs.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { readVersion } from "../kit/version.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const CODE = ["builder", "cli", "contract", "events", "gateway", "http", "kit", "oci", "provider", "registry"];
const ASSETS = [
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
  "docs/openapi.yaml",
  "dist/watchdog.mjs",
  "dist/ui",
  "templates",
  "functions",
];
/** What a clone needs to build and run itself, and what is built does not; part of neither the package nor the image. */
export const TOOLS = ["node", "esbuild", "preact", "@preact/signals", "uplot"];
/** The oldest release with all that the platform needs of Node. */
const NODE = ">=22.22 <23 || >=24.6";

/** Compiles all of it anew. */
export async function buildPackage() {
  const target = join(root, "dist/package");
  const folder = `${target}.${process.pid}`;
  rmSync(folder, { recursive: true, force: true });
  for (const { path, text } of await compile(sources(".ts"))) write(join(folder, path), text);
  for (const { path, text } of await bundleClient()) write(join(folder, path), text);
  for (const asset of ASSETS) {
    if (existsSync(join(root, asset))) cpSync(join(root, asset), join(folder, asset), { recursive: true });
  }
  write(join(folder, "dist/commit"), readVersion(root).sha);
  write(join(folder, "package.json"), `${JSON.stringify(manifest(), undefined, 2)}\n`);
  rmSync(target, { recursive: true, force: true });
  renameSync(folder, target);
  return target;
}

/** Builds it when something that it is made of is newer. */
export async function refreshPackage() {
  const made = changedAt(join(root, "dist/package/package.json"));
  const parts = [...sources(".ts"), ...ASSETS, "package.json", "deploy/build-package.mjs"];
  if (made < Math.max(...parts.map((path) => changedAt(join(root, path))))) await buildPackage();
}

/** @param {string} extension @returns {string[]} paths from the root */
function sources(extension) {
  return CODE.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(extension))
      .map((name) => join(folder, name))
      // The page is a program of its own, built already.
      .filter((path) => !path.startsWith("gateway/ui/browser/")),
  );
}

/** @param {string[]} paths */
async function compile(paths) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: paths,
    outdir: root,
    outbase: root,
    write: false,
    bundle: false,
    format: "esm",
    platform: "node",
    target: "node22",
    legalComments: "none",
    logLevel: "warning",
  });
  return outputFiles.map(({ path, text }) => ({ path: relative(root, path), text: withExtensions(text) }));
}

/**
 * The client with the packages that it needs, in a few files: reading a hundred takes longer than most commands. The
 * files stay in `cli/`, for the sake of paths that are relative to them; processes of the platform are not part of it.
 */
async function bundleClient() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["cli/main.ts"],
    outdir: root,
    outbase: root,
    chunkNames: "cli/[name]-[hash]",
    write: false,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node22",
    minifySyntax: true,
    minifyWhitespace: true,
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
    legalComments: "none",
    logLevel: "warning",
    plugins: [{ name: "schemas", setup: leaveOutLanguages }],
  });
  return outputFiles.map(({ path, text }) => ({ path: relative(root, path), text: importLater(path, text) }));
}

/** Says which Node it needs, so an older one has to understand it. */
const FIRST = join(root, "cli/main.js");

/**
 * An ES import of a module of Node's reads every export of it, among them getters that load more: that of `node:http` an HTTP client
 * for WebSockets, which takes more memory than a command. What is asked for by name is all that is read.
 * @param {string} path @param {string} text as esbuild prints it
 */
export function importLater(path, text) {
  if (path === FIRST) return text;
  const declared = [];
  const rest = text.replace(
    /\bimport ?(?:([\w$]+),?)? ?(?:\{([^}]*)\} ?)?from ?"([\w/:]+)";/g,
    (whole, all, names, module) => {
      if (!isBuiltin(module) || whole.includes("requireOf") || all === "process") return whole;
      const asked = [all, names && `{${names.replaceAll(" as ", ":")}}`].filter(Boolean);
      declared.push(...asked.map((name) => `${name}=process.getBuiltinModule("${module}")`));
      return "";
    },
  );
  // Imports are done before any statement, so these go first.
  return declared.length === 0 ? text : `const ${declared.join(",")};${rest}`;
}

/**
 * Of a namespace only what is used is bundled; the package exports itself as an object too, with its messages in fifty
 * languages.
 * @param {import("esbuild").PluginBuild} build
 */
function leaveOutLanguages({ onLoad }) {
  onLoad({ filter: /\/(contract|oci)\/(?:[\w-]+\/)*[\w-]+\.ts$/ }, ({ path }) => ({
    contents: readFileSync(path, "utf8").replace('import { z } from "zod"', 'import * as z from "zod"'),
    loader: "ts",
  }));
}

/** What was imported as a source is imported as what has become of it. @param {string} text as esbuild prints it */
function withExtensions(text) {
  return text.replace(/((?:^(?:im|ex)port |^\} )[^"\n]*|import\()"(\.[^"\n]*)\.ts"/gm, '$1"$2.js"');
}

/** What its users need of the package.json, and nothing of how it is developed. */
function manifest() {
  const { name, version, description, license, type, dependencies } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  const bin = { faaslane: "cli/main.js" };
  const needed = Object.fromEntries(Object.entries(dependencies).filter(([name]) => !TOOLS.includes(name)));
  return { name, version, description, license, type, engines: { node: NODE }, bin, dependencies: needed };
}

/** @param {string} path @param {string} text */
function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: path.endsWith("cli/main.js") ? 0o755 : 0o644 });
}

/** @param {string} path @returns {number} */
function changedAt(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(`${await buildPackage()}\n`);

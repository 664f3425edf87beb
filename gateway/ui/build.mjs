// Builds the dashboard into dist/ui: files named by their content, each also compressed, and a list of them.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { readDefaults } from "./documented-defaults.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

const TYPES = { ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8" };

export async function buildUi() {
  const defaults = readDefaults(readFileSync(join(root, "gateway/README.md"), "utf8"));
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: { page: "gateway/ui/browser/main.tsx" },
    outdir: "dist/ui",
    entryNames: "[name]-[hash]",
    write: false,
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: ["chrome123", "firefox121", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    define: { DOCUMENTED_DEFAULTS: JSON.stringify(defaults) },
    logLevel: "warning",
  });
  const target = join(root, "dist/ui");
  const draft = `${target}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  const files = outputFiles.map(({ path, contents }) => {
    const name = basename(path);
    writeFileSync(join(draft, name), contents);
    writeFileSync(join(draft, `${name}.gz`), gzipSync(contents, { level: 9 }));
    const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
    writeFileSync(join(draft, `${name}.br`), brotliCompressSync(contents, quality));
    return { name, type: TYPES[extname(name)] };
  });
  const named = (extension) => files.find(({ name }) => name.endsWith(extension)).name;
  const html = readFileSync(join(root, "gateway/ui/browser/index.html"), "utf8")
    .replace("%STYLE%", named(".css"))
    .replace("%SCRIPT%", named(".js"));
  writeFileSync(join(draft, "index.html"), html);
  writeFileSync(join(draft, "files.json"), JSON.stringify({ files, build: named(".js") }));
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
  return target;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildUi();

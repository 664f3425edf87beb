// Bundles the watchdog into one file without dependencies: it is copied into every function image, and a single file
// starts faster than a tree of modules.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * An ES import of `node:http` reads every export, among them the getter that loads Node's WebSocket with all of its
 * HTTP client: 13 MB and some milliseconds for nothing. What a CommonJS module exports is read only when it is used.
 */
const lazyHttp = {
  name: "lazy-http",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:http$/ }, () => ({ path: "node:http", namespace: "lazy-http" }));
    onLoad({ filter: /.*/, namespace: "lazy-http" }, () => ({
      contents: 'module.exports = process.getBuiltinModule("node:http");',
      loader: "js",
    }));
  },
};

await build({
  absWorkingDir: root,
  entryPoints: ["watchdog/main.ts"],
  outfile: "dist/watchdog.mjs",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22",
  plugins: [lazyHttp],
  legalComments: "none",
  logLevel: "warning",
});

// Bundles the watchdog into one file without dependencies: it is copied into every function image, and a single file
// starts faster than a tree of modules.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

await build({
  absWorkingDir: root,
  entryPoints: ["watchdog/main.ts"],
  outfile: "dist/watchdog.mjs",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22",
  legalComments: "none",
  logLevel: "warning",
});

// Makes what is made from other files: node deploy/render.ts. A test fails while something is out of date.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "./render/generate.ts";

const deploy = dirname(fileURLToPath(import.meta.url));
// The manifests need the chart's own generated template, so twice: the first pass is for that.
for (const _pass of ["chart", "manifests"]) {
  for (const [path, text] of generate(deploy)) {
    mkdirSync(dirname(join(deploy, path)), { recursive: true });
    writeFileSync(join(deploy, path), text);
  }
}

// Makes the watchdog one executable, for images without Node: Node's own program with the bundle in it.
//   node watchdog/executable.mjs [FILE]        dist/fwatchdog unless said otherwise
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildExecutable } from "../oci/single-executable.ts";
import { bundle } from "./bundle.mjs";

const [target = fileURLToPath(new URL("../dist/fwatchdog", import.meta.url))] = process.argv.slice(2);
await buildExecutable(await bundle(), process.execPath, resolve(target));
process.stdout.write(`${target}\n`);

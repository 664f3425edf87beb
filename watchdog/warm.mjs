// Fills a compile cache while an image is built, so that what Node has compiled once is there at every start:
//   NODE_COMPILE_CACHE=FOLDER node warm.mjs UID[,UID…] PROGRAM
// Starts PROGRAM, ends it as soon as it says that it listens, or after a while. An image without a cache works, too, so
// nothing that goes wrong here fails a build.
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const LISTENS_WITHIN_MS = 15_000;
const ENDS_WITHIN_MS = 5_000;

const folder = process.env.NODE_COMPILE_CACHE ?? "";
const [uids = "", ...program] = process.argv.slice(2);

/** Resolves when the program has ended, which is when it writes what it has compiled. */
async function run() {
  const { promise, resolve } = Promise.withResolvers();
  const child = spawn(process.execPath, program, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, port: "0", metrics_port: "0", healthcheck_interval: "0s" },
  });
  const stop = () => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), ENDS_WITHIN_MS).unref();
  };
  const late = setTimeout(stop, LISTENS_WITHIN_MS);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      output = (output + text).slice(-4096);
      if (/listening/.test(output)) stop();
    });
  }
  child.on("error", resolve).on("close", resolve);
  await promise;
  clearTimeout(late);
}

await run();
// Node keeps a cache for each user, readable by nobody else, and who builds an image is not who runs it.
const ownUid = String(process.getuid());
const wanted = new Set(uids.split(","));
const caches = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(`-${ownUid}`)) : [];
let files = 0;
for (const cache of caches) {
  const own = join(folder, cache);
  for (const file of readdirSync(own)) {
    chmodSync(join(own, file), 0o644);
    files += 1;
  }
  for (const uid of wanted) {
    if (uid !== ownUid) cpSync(own, join(folder, cache.replace(/-\d+$/, `-${uid}`)), { recursive: true });
  }
  if (!wanted.has(ownUid)) rmSync(own, { recursive: true });
}
process.stdout.write(`compiled ahead: ${files} modules\n`);

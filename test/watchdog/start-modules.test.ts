import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "@jest/globals";
import { ROOT } from "../support/platform.ts";

const folder = mkdtempSync(join(tmpdir(), "faaslane-modules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Modules of Node's that a program has loaded when it says that it listens. */
function loadedBy(program: string): Set<string> {
  // The list has to be told by the process itself, before it is asked anything.
  const tell = `
    for (const stream of [process.stdout, process.stderr]) {
      const write = stream.write.bind(stream);
      stream.write = (text, ...rest) => {
        if (!String(text).includes("listening")) return write(text, ...rest);
        require("node:fs").writeFileSync(1, JSON.stringify(process.moduleLoadList));
        process.exit(0);
      };
    }`;
  writeFileSync(join(folder, "tell.cjs"), tell);
  writeFileSync(join(folder, "index.mjs"), "export default (req, res) => res.end();");
  const { stdout, stderr } = spawnSync(process.execPath, ["--require", "./tell.cjs", program], {
    cwd: folder,
    encoding: "utf8",
    env: { mode: "inproc", inproc_handler: "./index.mjs", port: "0", metrics_port: "0", TMPDIR: folder },
  });
  if (stdout === "") throw new Error(stderr);
  const names = JSON.parse(stdout) as string[];
  return new Set(
    names.filter((name) => name.startsWith("NativeModule ")).map((name) => name.replace("NativeModule ", "")),
  );
}

test("until it listens the watchdog loads hardly more of Node than a server does that does nothing", () => {
  const bare = `process.getBuiltinModule("node:http").createServer().listen(0, () => console.log("listening"));`;
  writeFileSync(join(folder, "bare.mjs"), bare);
  const needed = loadedBy(join(folder, "bare.mjs"));
  const more = [...loadedBy(join(ROOT, "dist/watchdog.mjs"))].filter((name) => !needed.has(name));
  // What a first call needs, but for signals and the host's name.
  expect(more.filter((name) => !["os", "internal/fs/dir"].includes(name))).toEqual([]);
});

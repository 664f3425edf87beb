import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";

const run = promisify(execFile);
const FILL_DISK = fileURLToPath(new URL("./fixtures/fill-disk.ts", import.meta.url));

/** Runs a shell script in a mount namespace of its own, where anybody may mount a small file system. */
const inNamespace = (script: string, ...args: string[]) =>
  run("unshare", ["--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh", ...args]);

const MOUNT = 'mount -t tmpfs -o size=24m tmpfs "$1"';

test("a queue that has filled its disk can be emptied, and then takes calls again", async () => {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-disk-"));
  try {
    const refused = await inNamespace(MOUNT, folder).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (refused !== undefined) {
      process.stderr.write(`skipped: this machine lets us mount no small disk to fill: ${refused}\n`);
      return;
    }
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", FILL_DISK];
    const { stdout } = await inNamespace(`${MOUNT}; shift; exec "$@"`, folder, ...node, folder);
    const { accepted, refusal, delivered, messages } = JSON.parse(stdout);
    expect(refusal).toBe("unavailable");
    expect(accepted).toBeGreaterThan(100);
    expect(delivered).toBeGreaterThanOrEqual(accepted);
    expect(messages).toContain("the queue cannot store");
    expect(messages).toContain("the queue can store calls again");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

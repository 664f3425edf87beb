import { expect, test } from "@jest/globals";
import { startWatchdog } from "./support/start-watchdog.ts";

/** By how a program prints: quickly, after a while, more than a pipe holds, in parts, and with what it leaves behind. */
test.each<[what: string, script: string, output: string | number]>([
  ["nothing", "true", ""],
  ["at once", "echo quick", "quick\n"],
  ["and ends later", "echo first; sleep 0.2", "first\n"],
  ["after a while", "sleep 0.1; echo late", "late\n"],
  ["in parts", "for i in 1 2 3 4; do echo $i; sleep 0.02; done", "1\n2\n3\n4\n"],
  ["as much as a pipe holds", "head -c 65536 /dev/zero", 65_536],
  ["a byte more than a pipe holds", "head -c 65537 /dev/zero", 65_537],
  ["a lot", "head -c 3000000 /dev/zero", 3_000_000],
  ["a lot, later", "sleep 0.01; head -c 3000000 /dev/zero", 3_000_000],
  ["by a process in the background", "(sleep 0.1; echo behind) & echo before", "before\nbehind\n"],
  ["with its output closed before its end", "echo all; exec >&- 2>&-; sleep 0.2", "all\n"],
])("output is whole: %s", async (_what, script, output) => {
  // The words of a command are split at spaces: these are put together again by the shell.
  const env = { mode: "classic", SCRIPT: script, fprocess: 'sh -c eval\t"$SCRIPT"' };
  await using watchdog = await startWatchdog(env);
  for (let round = 0; round < 3; round++) {
    const bodies = await Promise.all([0, 1, 2].map(async () => (await fetch(watchdog.url, { method: "POST" })).text()));
    for (const body of bodies) expect(typeof output === "number" ? body.length : body).toBe(output);
  }
});

test("output above the limit is refused, quick or not", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "cat", max_body_bytes: "1000" });
  await using large = await startWatchdog({
    mode: "classic",
    fprocess: "head -c 1001 /dev/zero",
    max_body_bytes: "1000",
  });
  expect((await fetch(watchdog.url, { method: "POST", body: "x".repeat(1000) })).status).toBe(200);
  for (let round = 0; round < 3; round++) expect((await fetch(large.url, { method: "POST" })).status).toBe(500);
});

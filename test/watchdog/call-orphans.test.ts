import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { startWatchdog, type TestWatchdog } from "./support/start-watchdog.ts";

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function expectGone(watchdog: TestWatchdog, count: number): Promise<void> {
  const pids = readFileSync(join(watchdog.tmp, "strays"), "utf8").trim().split("\n").map(Number);
  expect(pids).toHaveLength(count);
  await eventually("nothing of the call is left", () => !pids.some(isRunning));
}

/** With such a variable no shell is used. */
const DIRECT = { "not-a-shell-name": "1" };

describe.each([
  ["through shells", {}],
  ["directly", DIRECT],
])("forked %s", (_way, env) => {
  describe.each(["classic", "serializing", "streaming"])("%s", (mode) => {
    test("what a call leaves in the background ends with it", async () => {
      await using watchdog = await startWatchdog({ ...env, mode, fprocess: "leaves-strays" });
      expect(await (await fetch(watchdog.url)).text()).toBe("left\n");
      await expectGone(watchdog, 3);
      expect(watchdog.running).toBe(true);
    });

    test("and with its time-out", async () => {
      const settings = { ...env, mode, fprocess: "leaves-strays", linger: "1", exec_timeout: "1s" };
      await using watchdog = await startWatchdog(settings);
      const answer = fetch(watchdog.url).then((response) => response.text());
      await answer.catch(() => {}); // how it fails is another test's concern
      await expectGone(watchdog, 3);
    });

    test("also when the process itself has ended long before", async () => {
      await using watchdog = await startWatchdog({ ...env, mode, fprocess: "leaves-printing", exec_timeout: "500ms" });
      await fetch(watchdog.url)
        .then((response) => response.text())
        .catch(() => {});
      await expectGone(watchdog, 1);
    });
  });

  test("nothing of other calls is touched", async () => {
    await using watchdog = await startWatchdog({ ...env, mode: "classic", fprocess: "sleeps-behind" });
    const long = fetch(`${watchdog.url}/1`).then((response) => response.text());
    await eventually("it has begun", () => readFileSync(join(watchdog.tmp, "begun"), "utf8") !== "");
    for (let i = 0; i < 5; i++) expect(await (await fetch(`${watchdog.url}/0`)).text()).toBe("done\n");
    expect(await long).toBe("done\n");
  });
});

test("a stop leaves nothing", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "leaves-strays", linger: "1" });
  void fetch(watchdog.url).catch(() => {});
  await eventually("they run", () => readFileSync(join(watchdog.tmp, "strays"), "utf8").split("\n").length === 4);
  watchdog.process.kill("SIGINT");
  await watchdog.logged("No new connections");
  watchdog.process.kill("SIGINT");
  await watchdog.ended;
  await expectGone(watchdog, 3);
});

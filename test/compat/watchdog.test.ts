import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { expectFacts, linesOfCalls } from "../conformance/facts.ts";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { spawnWatchdog, startWatchdog, type TestWatchdog } from "../watchdog/support/start-watchdog.ts";
import { WATCHDOG } from "./differences.ts";
import { FURTHER, UNRECORDED } from "./watchdog-further.ts";
import { SETTINGS, type Setting } from "./watchdog-settings.ts";

/** An http function listens wherever the watchdog tells it to. */
const environment = ({ env }: Setting) => (env.mode === "http" ? { upstream_url: "http://127.0.0.1:0", ...env } : env);

async function start(setting: Setting): Promise<TestWatchdog> {
  if (!setting.isUnready) return await startWatchdog(environment(setting));
  const watchdog = spawnWatchdog(environment(setting));
  await watchdog.logged("listening on port");
  watchdog.port = Number(watchdog.log.match(/listening on port (\d+)/)?.[1]);
  return watchdog;
}

const ALL = [...SETTINGS, ...FURTHER];
const served = ALL.filter(({ ends }) => ends === undefined);

describe.each(served.map((setting) => [setting.name, setting] as const))("%s", (_name, setting) => {
  let watchdog: TestWatchdog;
  beforeAll(async () => {
    watchdog = await start(setting);
  });
  afterAll(() => watchdog?.[Symbol.asyncDispose]());

  test.each(setting.rows.map((row) => [row[0], row] as const))("%s", async (_row, row) => {
    const first = setting.isBusy && rawRequest(watchdog.port, row[1]);
    if (first)
      await eventually("the first runs", async () => /^http_requests_in_flight 1$/m.test(await watchdog.metrics()));
    expectFacts(await rawRequest(watchdog.port, row[1]), row);
    if (first) expect((await first)?.status).toBe(200);
  });

  const { log } = setting;
  if (log === undefined) return;
  test("its log tells of the calls", async () => {
    await eventually("as many lines", () => linesOfCalls(watchdog.log).length >= log.length);
    expect(linesOfCalls(watchdog.log)).toEqual(
      log.map((line) => (typeof line === "string" ? line : expect.stringMatching(line))),
    );
  });
});

const ended = ALL.filter(({ ends }) => ends !== undefined);

test.each(ended.map((setting) => [setting.name, setting] as const))("%s: it ends by itself", async (_name, setting) => {
  await using watchdog = spawnWatchdog(environment(setting));
  expect(await watchdog.ended).toEqual({ code: setting.ends, signal: null });
});

test("each difference is one of a row or of a setting", () => {
  const names = [...served.flatMap(({ rows }) => rows.map(([name]) => name)), ...ended.map(({ name }) => name)];
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  expect(Object.keys({ ...WATCHDOG, ...UNRECORDED }).filter((name) => !names.includes(name))).toEqual([]);
});

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { expectFacts } from "../conformance/facts.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { testNeeding } from "../support/needing.ts";
import { rawRequest } from "../support/raw-http.ts";
import { FIXTURES } from "../watchdog/support/start-watchdog.ts";
import { WATCHDOG } from "./differences.ts";
import { FURTHER, UNRECORDED } from "./watchdog-further.ts";
import { SETTINGS, type Setting } from "./watchdog-settings.ts";

/*
 * The rows of the tables, asked of other watchdogs: WATCHDOG_BIN names one like OpenFaaS's first, OF_WATCHDOG_BIN one like its
 * second. Where ours differs on purpose the row is left out, unless the binary is ours.
 */

const BINARIES = { classic: process.env.WATCHDOG_BIN, of: process.env.OF_WATCHDOG_BIN };
const DIFFERENCES = { ...WATCHDOG, ...UNRECORDED };

async function withBinary(
  binary: string,
  { env }: Setting,
  use: (port: number, ended: Promise<number | null>) => Promise<void>,
): Promise<void> {
  const [port, upstreamPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const tmp = mkdtempSync(join(tmpdir(), "faaslane-binary-"));
  const { upstream_url = "http://127.0.0.1:0", ...own } = env;
  const http = {
    upstream_url: upstream_url.replace(":0", `:${upstreamPort}`),
    http_port: String(upstreamPort),
  };
  const child: ChildProcess = spawn(binary, {
    cwd: FIXTURES,
    detached: true,
    stdio: "ignore",
    env: {
      PATH: `${FIXTURES}:${process.env.PATH}`,
      TMPDIR: tmp,
      NODE: process.execPath,
      healthcheck_interval: "0s",
      metrics_port: String(metricsPort), // others listen at 8081 whatever is set
      ...own,
      ...(own.mode === "http" && http),
      port: String(port),
    },
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  try {
    await use(port, ended);
  } finally {
    try {
      process.kill(-(child.pid as number), "SIGKILL");
    } catch {
      // the whole group has ended
    }
    await ended;
    rmSync(tmp, { recursive: true, force: true });
  }
}

const health = "GET /_/health HTTP/1.1\r\nHost: h\r\n\r\n";

async function askRows(binary: string, setting: Setting, isOurs: boolean): Promise<void> {
  await withBinary(binary, setting, async (port) => {
    await eventually("it answers", async () => (await rawRequest(port, health)) !== undefined, 20_000);
    if (setting.env.mode === "http") {
      const there = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
      await eventually("the function is there", async () => (await rawRequest(port, there))?.status === 200, 20_000);
      const ready = "GET /_/ready HTTP/1.1\r\nHost: h\r\n\r\n";
      await eventually("it is known to be there", async () => (await rawRequest(port, ready))?.status !== 503, 20_000);
    }
    for (const row of setting.rows) {
      if (isOurs || !(row[0] in DIFFERENCES)) expectFacts(await rawRequest(port, row[1]), row);
    }
  });
}

describe.each(Object.entries(BINARIES))("the %s watchdog that is named", (kind, binary) => {
  const missing = binary === undefined ? `no ${kind === "classic" ? "" : "OF_"}WATCHDOG_BIN names one` : undefined;
  const testNamed = testNeeding(missing);
  const settings = [...SETTINGS, ...FURTHER].filter(({ name }) => name.startsWith(`${kind}, `));
  const isOurs =
    binary !== undefined && spawnSync(binary, ["-version"], { encoding: "utf8" }).stdout.startsWith("faaslane");

  testNamed.each(
    settings
      .filter(({ ends, isBusy, isUnready }) => ends === undefined && !isBusy && !isUnready)
      .map((setting) => [setting.name, setting] as const),
  )("%s", async (_name, setting) => {
    await askRows(binary as string, setting, isOurs);
  });

  testNamed.each(settings.filter(({ ends }) => ends !== undefined).map((setting) => [setting.name, setting] as const))(
    "%s: it ends by itself",
    async (_name, setting) => {
      await withBinary(binary as string, setting, async (_port, ended) => {
        expect(await ended).toBe(setting.ends);
      });
    },
  );
});

test("each kind of watchdog has rows", () => {
  for (const kind of Object.keys(BINARIES)) {
    expect(SETTINGS.filter(({ name }) => name.startsWith(`${kind}, `)).length).toBeGreaterThan(10);
  }
});

import { existsSync } from "node:fs";
import { openAnnouncer, resolveHost } from "./announce.ts";
import { StartError, startWatchdog, type Watchdog } from "./app.ts";
import { exitCodeOf, loadWatchdogConfig, type WatchdogConfig } from "./config.ts";
import { describeThrown } from "./describe-thrown.ts";
import { ConfigError } from "./env.ts";
import { droppedNotice, Log } from "./log.ts";
import { dropExcess } from "./paced-output.ts";

declare const WATCHDOG_VERSION: string;

const options = readOptions();
if (options.version) {
  process.stdout.write(`${WATCHDOG_VERSION}\n`);
  process.exit(0);
}
const config = readConfig();
if (options.healthcheck) {
  const isHealthy = existsSync(config.lockFile);
  if (!isHealthy) process.stderr.write(`unable to find lock file ${config.lockFile}\n`);
  process.exit(isHealthy ? 0 : 1);
}
// Functions that show their environment must not give away what speaks for them.
for (const name of ["announce_url", "announce_token"]) delete process.env[name];
const log = new Log(config, process.stdout, process.stderr);
process.on("exit", () => log.flush());
for (const note of config.notes) log.print(`Note: ${note}`);
const announcer =
  config.announce &&
  openAnnouncer(config.announce, { resolve: resolveHost, print: log.print, uptimeMs: () => performance.now() });
if (config.mode.kind === "inproc")
  for (const stream of [process.stdout, process.stderr]) dropExcess(stream, droppedNotice);
let watchdog: Watchdog | undefined;
let ending = false;
let exiting = false;

process.on("disconnect", endWithSupervisor);
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => void drain(config.healthcheckIntervalMs));
// A supervisor on the other side of a process namespace has no signals for us.
process.on("message", (message) => {
  if ((message as { type?: unknown } | null)?.type === "drain") void drain(config.healthcheckIntervalMs);
});
// A person at a terminal waits for no router to notice, and may lose patience.
process.on("SIGINT", () => void (ending ? end(1, "Interrupted again: stopping at once") : drain(0)));
try {
  watchdog = await startWatchdog(config, {
    env: { ...process.env },
    log,
    onFailure: (message) => void end(1, message),
  });
  if (ending) await stop(0);
  await watchdog.whenReady();
  announce(watchdog);
} catch (error) {
  const code = error instanceof StartError ? error.exitCode : 1;
  await end(code, error instanceof Error ? error.message : describeThrown(error));
}

/** As Go's programs take them: with one dash or two. */
function readOptions(): { readonly version: boolean; readonly healthcheck: boolean } {
  const given = process.argv.slice(2).filter((word) => word.startsWith("-"));
  const names = given.map((word) => word.replace(/^--?/, ""));
  const unknown = given.find((_, index) => !["version", "run-healthcheck"].includes(names[index] as string));
  if (unknown !== undefined) {
    process.stderr.write(`unknown option ${unknown}; there are -version and -run-healthcheck\n`);
    process.exit(2);
  }
  return { version: names.includes("version"), healthcheck: names.includes("run-healthcheck") };
}

function readConfig(): WatchdogConfig {
  try {
    return loadWatchdogConfig(process.env);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(error instanceof ConfigError ? exitCodeOf(error, process.env) : 1);
  }
}

function announce({ port, metricsPort }: Watchdog): void {
  if (ending) return;
  void announcer?.announce();
  if (process.send === undefined || !process.connected) return;
  // A channel that breaks under it says so by its end.
  process.send({ type: "listening", port, metricsPort }, undefined, undefined, () => {});
}

async function drain(serveOnMs: number): Promise<void> {
  if (ending) return;
  ending = true;
  announcer?.stop();
  try {
    if (watchdog !== undefined) await stop(serveOnMs);
    // Loading a function may take for ever, and nothing else has been started; anything else stops once it has started.
    else if (config.mode.kind === "inproc") await end(0, "Stopped before it took calls");
  } catch (error) {
    await end(1, `Stopping failed: ${describeThrown(error)}`);
  }
}

async function stop(serveOnMs: number): Promise<void> {
  await watchdog?.drain(serveOnMs);
  await end(0, "Drained");
}

async function end(code: number, message: string): Promise<void> {
  if (exiting) return; // the first reason is the true one
  exiting = true;
  ending = true;
  log.print(message);
  watchdog?.kill();
  await log.flushed();
  process.exit(code);
}

/** Nobody is left to stop this replica later. */
function endWithSupervisor(): void {
  watchdog?.kill();
  try {
    // Our process group also holds what the function itself has started, and which nobody else will end.
    process.kill(-process.pid, "SIGKILL");
  } catch {
    process.exit(1); // not the leader of a group: only our own children were ours to end
  }
}

import { openAnnouncer, resolveHost } from "./announce.ts";
import { startWatchdog, type Watchdog } from "./app.ts";
import { loadWatchdogConfig, type WatchdogConfig } from "./config.ts";
import { describeThrown } from "./describe-thrown.ts";
import { droppedNotice, Log } from "./log.ts";
import { dropExcess } from "./paced-output.ts";

const config = readConfig();
// Functions that show their environment must not give away what speaks for them.
for (const name of ["announce_url", "announce_token"]) delete process.env[name];
const log = new Log(config, process.stdout, process.stderr);
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
  await end(1, error instanceof Error ? error.message : describeThrown(error));
}

function readConfig(): WatchdogConfig {
  try {
    return loadWatchdogConfig(process.env);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(1);
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

import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo, ListenOptions, Server as NetServer } from "node:net";
import { openGate } from "./auth/open-gate.ts";
import type { WatchdogConfig } from "./config.ts";
import { Deadlines } from "./deadlines.ts";
import type { Env } from "./env.ts";
import { FunctionServer } from "./function-server.ts";
import { Health } from "./health.ts";
import type { Log } from "./log.ts";
import { CallMetrics } from "./metrics.ts";
import { createMetricsServer } from "./metrics-server.ts";
import type { Mode } from "./modes/mode.ts";
import { openMode } from "./modes/open.ts";

export interface WatchdogDeps {
  /** Inherited by the function's processes. */
  readonly env: Env;
  readonly log: Log;
  /** The function ended by itself; nothing can be served any more. */
  readonly onFailure: (message: string) => void;
}

/** A watchdog that serves. */
export interface Watchdog {
  /** 0 when it listens on a socket in the file system. */
  readonly port: number;
  readonly metricsPort: number;
  /** Resolves once the function takes calls; rejects when it ended before. */
  whenReady(): Promise<void>;
  /**
   * Fails the probes, serves on for `serveOnMs`, then takes no new connections, finishes what is under way and ends the
   * function.
   */
  drain(serveOnMs: number): Promise<void>;
  /** Ends the function's processes at once. */
  kill(): void;
}

/**
 * Starts the function and serves it.
 * @throws when a port is taken, the lock file cannot be written or a handler cannot be loaded
 */
export async function startWatchdog(config: WatchdogConfig, deps: WatchdogDeps): Promise<Watchdog> {
  const { log } = deps;
  const deadlines = new Deadlines();
  const metrics = new CallMetrics();
  const health = new Health(config.lockFile);
  // Before anything is started: without keys nobody could call it.
  const gate = config.auth && (await openGate(config.auth, log.print));
  const mode = await openMode(config, { env: deps.env, log, deadlines, onFailure: deps.onFailure });
  const functionServer = new FunctionServer({ config, mode, gate, health, metrics, deadlines, print: log.print });
  const metricsServer = createMetricsServer(metrics);
  try {
    const { listenSocket, bindAddress: host } = config;
    const metricsPort = await listen(metricsServer, { port: config.metricsPort, host }).catch((cause: Error) => {
      throw new StartError(`Metrics: ${cause.message}`, PANIC, cause);
    });
    const port = await listen(
      functionServer.server,
      listenSocket ? { path: listenSocket } : { port: config.port, host },
    );
    writeLock(health, config);
    const where = listenSocket ?? `port ${port}`;
    log.print(`Watchdog mode: ${config.mode.kind}, listening on ${where}, metrics on port ${metricsPort}`);
    return {
      port,
      metricsPort,
      whenReady: () => mode.whenReady(),
      kill: () => mode.kill(),
      drain: async (serveOnMs) => {
        try {
          health.refuse();
        } catch (error) {
          log.print(`Removing the lock file: ${(error as Error).message}`);
        }
        functionServer.drain();
        log.print(`No new connections in ${serveOnMs}ms, ${metrics.inFlight} calls under way`);
        await wait(serveOnMs);
        await functionServer.close(config.writeTimeoutMs);
        await closeParts(mode, metricsServer, deadlines);
      },
    };
  } catch (error) {
    mode.kill();
    functionServer.server.close();
    metricsServer.close();
    deadlines.close();
    throw error;
  }
}

/** The exit code of OpenFaaS's watchdogs where they panic. */
const PANIC = 2;

/** A watchdog that cannot start; `exitCode` says so to who started it. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number, cause: Error) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

function writeLock(health: Health, { suppressLock, mode, lockFile }: WatchdogConfig): void {
  try {
    health.accept(!suppressLock);
  } catch (error) {
    const message = `Lock file ${lockFile} cannot be written: ${(error as Error).message}`;
    throw new StartError(message, mode.kind === "classic" ? PANIC : 1, error as Error);
  }
}

/** @returns the port; 0 for a socket in the file system */
async function listen(server: NetServer, where: ListenOptions): Promise<number> {
  server.listen(where);
  await once(server, "listening");
  const address = server.address() as AddressInfo | string;
  return typeof address === "string" ? 0 : address.port;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function closeParts(mode: Mode, metricsServer: Server, deadlines: Deadlines): Promise<void> {
  await mode.close();
  deadlines.close();
  metricsServer.close();
  metricsServer.closeAllConnections();
}

import { describeEnd, type ProcessEnd, waitForExit } from "../child.ts";
import type { HttpConfig } from "../config.ts";
import type { Env } from "../env.ts";
import { killTree } from "../kill-tree.ts";
import type { Log } from "../log.ts";
import { buildChildEnv, chooseChildPort, describeTaken, waitForListener } from "./child-port.ts";
import { startChild } from "./http-child.ts";
import { HttpProxy, type HttpProxyDeps } from "./http-proxy.ts";
import type { Mode } from "./mode.ts";

export interface HttpModeDeps extends Omit<HttpProxyDeps, "upstream" | "print" | "bufferBody"> {
  readonly env: Env;
  readonly log: Log;
  /** The child ended without being asked to; the watchdog is of no use any more. */
  readonly onFailure: (message: string) => void;
}

/** Time for the child to end after SIGTERM; all calls are over by then. */
const TERM_GRACE_MS = 5000;

/** The function is a server of its own, started once and proxied to. */
export async function openHttpMode(
  config: HttpConfig,
  { env, log, onFailure, ...proxyDeps }: HttpModeDeps,
): Promise<Mode> {
  const childPort = await chooseChildPort(config);
  const { upstream } = childPort;
  const taken = describeTaken(childPort);
  if (taken !== undefined) log.print(`Note: ${taken}`);
  const childEnv = buildChildEnv(env, config.upstream, upstream);
  const proxy = new HttpProxy({ ...proxyDeps, upstream, bufferBody: config.bufferBody, print: log.print });

  const startup = new AbortController();
  let closing = false;
  let ready = false;
  const onEnd = (end: ProcessEnd) => {
    const why = ready || taken === undefined ? "" : `; ${taken}`;
    ready = false;
    startup.abort();
    if (!closing) onFailure(`Forked function has terminated: ${describeEnd(end, config.command[0])}${why}`);
  };
  const child = await startChild(config.command, childEnv, log, onEnd);
  const { pid } = child;
  const readiness = waitForListener(childPort, { pid, signal: startup.signal, print: log.print }).then(
    () => {
      ready = !startup.signal.aborted;
    },
    (error: Error) => {
      if (!startup.signal.aborted) onFailure(error.message);
      throw error;
    },
  );
  // Callers that wait see the failure; without any it is no unhandled rejection.
  readiness.catch(() => {});

  const killChild = () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killTree(child.pid);
  };
  return {
    get ready() {
      return ready;
    },
    switchesProtocols: true,
    whenReady: () => readiness,
    handle: (req, res) => proxy.handle(req, res),
    async close() {
      closing = true;
      child.kill("SIGTERM");
      if (!(await waitForExit(child, TERM_GRACE_MS))) {
        log.print("The function ignores SIGTERM: killing it");
        killChild();
        await waitForExit(child, TERM_GRACE_MS);
      }
      startup.abort();
      proxy.close();
    },
    kill() {
      closing = true;
      killChild();
    },
  };
}

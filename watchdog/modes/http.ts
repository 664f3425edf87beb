import { describeEnd, type ProcessEnd, waitForExit } from "../child.ts";
import type { ModeConfig } from "../config.ts";
import type { Env } from "../env.ts";
import { killTree } from "../kill-tree.ts";
import type { Log } from "../log.ts";
import { pickFreePort, startChild, waitForPort } from "./http-child.ts";
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
  config: Extract<ModeConfig, { kind: "http" }>,
  { env, log, onFailure, ...proxyDeps }: HttpModeDeps,
): Promise<Mode> {
  const port = config.upstream.port === 0 ? await pickFreePort(config.upstream.host) : config.upstream.port;
  const upstream = { ...config.upstream, port };
  const childEnv = config.upstream.port === 0 ? { ...env, http_port: String(port) } : env;
  const proxy = new HttpProxy({ ...proxyDeps, upstream, bufferBody: config.bufferBody, print: log.print });

  const startup = new AbortController();
  let closing = false;
  let ready = false;
  const onEnd = (end: ProcessEnd) => {
    ready = false;
    startup.abort();
    if (!closing) onFailure(`Forked function has terminated: ${describeEnd(end, config.command[0])}`);
  };
  const child = await startChild(config.command, childEnv, log, onEnd);
  const readiness = waitForPort(upstream.host, port, startup.signal).then(() => {
    ready = !startup.signal.aborted;
  });
  // Whoever waits sees the failure; that nobody may be waiting is no error of its own.
  readiness.catch(() => {});

  const killChild = () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killTree(child.pid);
  };
  return {
    get ready() {
      return ready;
    },
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

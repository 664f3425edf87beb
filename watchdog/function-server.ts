import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { acceptWaiting } from "../http/accept-waiting.ts";
import type { Connections } from "../http/connections.ts";
import { INTERNAL_HEADER } from "../http/platform-mark.ts";
import { checkHead } from "../http/request-head.ts";
import type { Upgrades } from "../http/upgrades.ts";
import { accessLine } from "./access-line.ts";
import { type Gate, refuse } from "./auth/gate.ts";
import type { Refusal } from "./auth/token.ts";
import type { WatchdogConfig } from "./config.ts";
import type { Deadlines } from "./deadlines.ts";
import { describeThrown } from "./describe-thrown.ts";
import { discardRest } from "./discard-rest.ts";
import { failCall } from "./fail-call.ts";
import type { Health } from "./health.ts";
import type { CallMetrics } from "./metrics.ts";
import type { Mode } from "./modes/mode.ts";
import { createGuardedServer } from "./serve.ts";
import { TrackedResponse } from "./tracked-response.ts";

export interface FunctionServerDeps {
  readonly config: WatchdogConfig;
  readonly mode: Mode;
  /** Who may call; undefined: anybody. */
  readonly gate: Gate | undefined;
  readonly health: Health;
  readonly metrics: CallMetrics;
  readonly deadlines: Deadlines;
  readonly print: (message: string) => void;
}

type Handler = (req: IncomingMessage, res: TrackedResponse) => void;

/** Idle connections are kept longer than any common gateway keeps them, so that the gateway, not we, closes first. */
const KEEP_ALIVE_MS = 120_000;
/** As Go's servers, which OpenFaaS's watchdogs are; above it the answer is 431. */
const MAX_HEADER_BYTES = 1024 * 1024;

/** The function's public server: probes, the concurrency limit, counting, and everything else to the mode. */
export class FunctionServer {
  readonly server: Server;
  readonly #deps: FunctionServerDeps;
  readonly #gate: Gate | undefined;
  readonly #connections: Connections;
  readonly #upgrades: Upgrades;
  /** Answer `Connection: close`, so that callers move to other replicas. */
  #draining = false;
  #closing = false;

  constructor(deps: FunctionServerDeps) {
    this.#deps = deps;
    this.#gate = deps.gate;
    const guarded = createGuardedServer(
      {
        ServerResponse: TrackedResponse as unknown as typeof ServerResponse,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: MAX_HEADER_BYTES,
        noDelay: true,
        requestMs: deps.config.readTimeoutMs,
        upgrades: deps.mode.switchesProtocols ? upgradesOf(deps.config) : undefined,
      },
      (req, res) => this.#onRequest(req, res as TrackedResponse),
    );
    this.server = guarded.server;
    this.#connections = guarded.connections;
    this.#upgrades = guarded.upgrades;
    // Node drops headers past a count without a word; the size limit above is enough.
    this.server.maxHeadersCount = 0;
  }

  /** Calls are still served, but each tells its caller to use another connection next time. */
  drain(): void {
    this.#draining = true;
  }

  /** Takes no more connections, and resolves when all calls are over; those that last longer than `limitMs` are cut. */
  async close(limitMs: number): Promise<void> {
    await acceptWaiting(this.server);
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // Connections that have changed their protocol have no end of their own.
    const endTunnels = setTimeout(() => this.#upgrades.endAll(), Math.max(0, limitMs - LAST_WORDS_MS));
    const timer = setTimeout(() => {
      this.#deps.print(`Calls still under way after ${limitMs}ms are cut`);
      this.server.closeAllConnections();
      this.#connections.closeAll(); // those too that have left the server
    }, limitMs);
    await closed;
    clearTimeout(endTunnels);
    clearTimeout(timer);
  }

  #onRequest(req: IncomingMessage, res: TrackedResponse): void {
    const { config } = this.#deps;
    if (this.#draining) res.shouldKeepAlive = false;
    res.startedAt = performance.now();
    res.onClosed = closed;
    if ((req.url as string).charCodeAt(0) !== SLASH && checkHead(req) !== undefined) {
      answerEmpty(res, 400);
      return;
    }
    const url = req.url as string;
    if (url.startsWith("/_/")) {
      const path = url.split("?", 1)[0];
      if (path === "/_/health" || path === "/_/ready") {
        this.#answerProbe(path, req, res);
        return;
      }
    }
    // OpenFaaS's first watchdog asks who calls before it counts calls, its second one after.
    if (this.#gate === undefined || config.mode.kind !== "classic") {
      this.#admit(req, res);
      return;
    }
    res.onSettled = this.#settleRefused;
    this.#check(this.#gate, req, res, this.#admit);
  }

  readonly #admit = (req: IncomingMessage, res: TrackedResponse): void => {
    const { config, metrics } = this.#deps;
    if (config.maxInflight > 0 && metrics.inFlight >= config.maxInflight) {
      res.onSettled = this.#settleRefused;
      refuseForLoad(res, config.maxInflight);
      return;
    }
    metrics.inFlight++;
    res.onSettled = this.#settle;
    res.onUnsent = this.#limitSending;
    if (this.#gate === undefined || config.mode.kind === "classic") this.#handle(req, res);
    else this.#check(this.#gate, req, res, this.#handle);
  };

  /** Lets a call go on if its token allows it. */
  #check(gate: Gate, req: IncomingMessage, res: TrackedResponse, goOn: Handler): void {
    const decide = (refusal: Refusal | undefined) => {
      if (res.destroyed) return; // nobody waits for it any more
      if (refusal === undefined) goOn(req, res);
      else refuse(res, refusal);
    };
    const verdict = gate.judge(req);
    if (!(verdict instanceof Promise)) {
      decide(verdict);
      return;
    }
    verdict.then(decide).catch((error: unknown) => {
      this.#deps.print(`Call failed: ${describeThrown(error)}`);
      failCall(res);
    });
  }

  readonly #handle = (req: IncomingMessage, res: TrackedResponse): void => {
    try {
      this.#deps.mode.handle(req, res);
    } catch (error) {
      this.#deps.print(`Call failed: ${describeThrown(error)}`);
      failCall(res);
    }
  };

  readonly #settle = (res: TrackedResponse): void => {
    this.#deps.metrics.inFlight--;
    this.#settleRefused(res);
  };

  readonly #settleRefused = (res: TrackedResponse): void => {
    const { config, deadlines, metrics, print } = this.#deps;
    deadlines.stop(res);
    const seconds = (performance.now() - res.startedAt) / 1000;
    const status = res.headersSent ? res.statusCode : CLIENT_WENT_AWAY;
    metrics.observe(res.req.method as string, status, seconds);
    // A connection whose call began before the drain is idle now, and would hold the server open.
    if (this.#closing) setImmediate(() => this.server.closeIdleConnections());
    if (config.accessLog && !isProbe(res.req)) print(accessLine(res, status, seconds, config.logCallId));
  };

  /** A caller that reads slowly may do so until `write_timeout`; an answer made only now gets a moment. */
  readonly #limitSending = (res: TrackedResponse): void => {
    const now = performance.now();
    const leftMs = this.#deps.config.writeTimeoutMs - (now - res.startedAt);
    res.onUnsent = null;
    res.onExpire = cut;
    this.#deps.deadlines.start(res, Math.ceil(Math.max(leftMs, SENDING_GRACE_MS)), now);
  };

  readonly #settleProbe = (res: TrackedResponse): void => {
    this.#deps.deadlines.stop(res);
  };

  #answerProbe(path: "/_/health" | "/_/ready", req: IncomingMessage, res: TrackedResponse): void {
    const { config } = this.#deps;
    const status = this.#probeStatus(path, req.method as string);
    if (status !== 200) {
      answerEmpty(res, status);
    } else if (path === "/_/health") {
      res.writeHead(200, {
        "Content-Length": 2,
        "Content-Type": "text/plain; charset=utf-8",
        // Providers must not ask it unbidden, as for the oldest watchdogs it is a call of the function.
        "X-Faaslane-Ready-Path": "/_/ready",
      });
      res.end("OK");
    } else if (config.readyPath === undefined) {
      answerEmpty(res, 200);
    } else {
      // The function itself says whether it is ready; neither limited nor counted, as probes must not look like load.
      req.url = config.readyPath;
      res.onSettled = this.#settleProbe;
      this.#handle(req, res);
    }
  }

  #probeStatus(path: "/_/health" | "/_/ready", method: string): number {
    const { config, health, metrics, mode } = this.#deps;
    if (method !== "GET") return 405;
    if (!health.healthy) return 503;
    if (path === "/_/health") return 200;
    if (!mode.ready) return 503;
    return config.maxInflight > 0 && metrics.inFlight >= config.maxInflight ? 429 : 200;
  }
}

const SENDING_GRACE_MS = 1000;

/** Time that both ends of a tunnel have for their last words. */
const LAST_WORDS_MS = 2000;

/** Calls may change their protocol, probes may not. */
function upgradesOf({ upgradeIdleMs }: WatchdogConfig) {
  return {
    accepts: (url: string) => !url.startsWith("/_/"),
    idleMs: upgradeIdleMs || Number.POSITIVE_INFINITY,
    Response: TrackedResponse,
  };
}

const SLASH = 0x2f;

/** nginx's name for a call whose caller left before the answer. */
const CLIENT_WENT_AWAY = 499;

/** Probes of Kubernetes that ask the function itself, which would fill the log. */
function isProbe({ headers }: IncomingMessage): boolean {
  return headers["user-agent"]?.startsWith("kube-probe") === true;
}

function closed(res: TrackedResponse): void {
  res.release();
  if (!res.req.complete) discardRest(res.req);
}

function cut(res: TrackedResponse): void {
  res.destroy();
}

function answerEmpty(res: TrackedResponse, status: number): void {
  res.writeHead(status, { "Content-Length": 0 });
  res.end();
}

function refuseForLoad(res: TrackedResponse, limit: number): void {
  const body = `Concurrent request limit exceeded. Max concurrent requests: ${limit}\n`;
  res.writeHead(429, {
    "Content-Type": "text/plain",
    "Content-Length": body.length,
    [INTERNAL_HEADER]: "faas-middleware",
  });
  res.end(body);
}

import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server, type ServerOptions, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { closeSocket, closingAnswer } from "../http/close-socket.ts";
import { Connections } from "../http/connections.ts";
import { leaveToReader } from "../http/expect.ts";
import { EscapedSocket, escapeTarget, isEscaped, type ParseError } from "../http/raw-target.ts";
import { type UpgradeOptions, Upgrades } from "../http/upgrades.ts";

export interface ServeOptions extends ServerOptions {
  /** Longest time for a whole request in milliseconds, 0 for none. */
  readonly requestMs: number;
  /** Which requests may go on with another protocol; none when absent. */
  readonly upgrades?: Omit<UpgradeOptions, "max"> | undefined;
}

export interface GuardedServer {
  readonly server: Server;
  readonly connections: Connections;
  readonly upgrades: Upgrades;
}

const NONE: Omit<UpgradeOptions, "max"> = { accepts: () => false, idleMs: 0, Response: ServerResponse };

/** Longest time for a request's head. */
const HEAD_MS = 20_000;
/** How long what comes too late of a request is read off at most; what reads it off gives up sooner. */
const LINGER_MS = 5_000;

/**
 * A server that holds its connections to limits: requests are served one at a time on each, and what takes too long, or is
 * not HTTP, is closed for good.
 */
export function createGuardedServer(
  { requestMs, upgrades: switching = NONE, ...options }: ServeOptions,
  handler: RequestListener,
): GuardedServer {
  const requestLimit = requestMs || Number.POSITIVE_INFINITY;
  const maxConnections = connectionLimit();
  const connections = new Connections(handler, {
    maxConnections,
    requestMs: requestLimit,
    bodyStallMs: requestLimit,
    lingerMs: LINGER_MS,
  });
  const upgrades = new Upgrades(connections, {
    ...switching,
    max: switching === NONE ? 0 : Math.floor(maxConnections / 2),
  });
  const headersTimeout = Math.min(HEAD_MS, requestLimit);
  const server = createServer({
    ...options,
    headersTimeout,
    // Node looks at its deadlines now and then only, and has but one for all requests.
    connectionsCheckingInterval: Math.min(5_000, Math.max(100, Math.ceil(headersTimeout / 10))),
    requestTimeout: 0,
    shouldUpgradeCallback: upgrades.shouldUpgrade,
  });
  // An older Node would hand over all of them, also those that are not for us.
  if ("shouldUpgradeCallback" in server) server.on("upgrade", upgrades.onUpgrade);
  server.closeIdleConnections = connections.closeKept;
  server.on("request", connections.onRequest);
  server.on("connection", connections.onConnection);
  server.on("checkContinue", (req, res) => {
    leaveToReader(req, res, () => server.listening && req.socket instanceof Socket);
    server.emit("request", req, res);
  });
  server.on("connect", (_req, socket) => closeSocket(socket, closingAnswer(405, "Method Not Allowed", "")));
  server.on("clientError", (error: ParseError, socket) => {
    if (socket instanceof Socket && connections.startsAnew(socket, error.rawPacket)) {
      const escaped = escapeTarget(error);
      if (escaped !== undefined) {
        connections.release(socket);
        server.emit("connection", new EscapedSocket(socket, escaped));
        return;
      }
    }
    // It is no longer this server's business what its first parser thinks of the connection.
    if (!isEscaped(socket)) refuse(error, socket);
  });
  return { server, connections, upgrades };
}

function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  // After other answers on the connection, text could end up in the middle of one.
  const begun = (socket as Duplex & { bytesWritten: number }).bytesWritten > 0;
  if (begun || error.code === "ECONNRESET") closeSocket(socket);
  else if (error.code === "HPE_HEADER_OVERFLOW") closeSocket(socket, TOO_LARGE);
  else closeSocket(socket, error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? TIMED_OUT : BAD_REQUEST);
}

const BAD_REQUEST = closingAnswer(400, "Bad Request", "");
const TIMED_OUT = closingAnswer(408, "Request Timeout", "");
const TOO_LARGE = closingAnswer(431, "Request Header Fields Too Large", "");

/** A call takes up to four descriptors, for its connection and for the function's side. */
const DESCRIPTORS_PER_CALL = 4;

function connectionLimit(): number {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    return limit === undefined ? Number.POSITIVE_INFINITY : Math.ceil(Number(limit) / DESCRIPTORS_PER_CALL);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ERROR_HEADER } from "../contract/error-codes.ts";
import { codeOfStatus } from "../contract/errors.ts";
import { acceptWaiting } from "../http/accept-waiting.ts";
import { noteForwarder, settleForwarding, type TrustedProxies } from "../http/client-address.ts";
import { closeSocket, closingAnswer } from "../http/close-socket.ts";
import { type ConnectionLimits, Connections } from "../http/connections.ts";
import { leaveToReader } from "../http/expect.ts";
import { EscapedSocket, escapeTarget, isEscaped, type ParseError } from "../http/raw-target.ts";
import { checkHead } from "../http/request-head.ts";
import { type UpgradeOptions, Upgrades } from "../http/upgrades.ts";
import { DEFAULT_SOCKET_MODE, socketPathOf, urlOf } from "./bind-address.ts";
import { descriptorLimit, shareConnections } from "./descriptors.ts";
import { Front, type FrontOptions } from "./front.ts";
import { createServer, ServerResponse as Response } from "./http.ts";
import { Http2Front } from "./http2-front.ts";
import type { Logger } from "./log.ts";
import { sleep } from "./sleep.ts";
import { listenOnSocket } from "./unix-socket.ts";

export interface DrainingServer {
  readonly server: Server;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** `http://host:port` or `https://host:port`, with a host that can be dialled from this machine, or `unix:path`. */
  readonly url: string;
  /** Refuses new connections, lets requests under way finish, and cuts what is left after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly port: number;
  /** An address, or `unix:` and the path of a socket. */
  readonly host: string;
  /** Permissions of that socket. */
  readonly socketMode?: number;
  /** Whether other servers of this user may listen on the same port; the system gives each connection to one of them. */
  readonly reusePort?: boolean;
  readonly server?: ServerOptions;
  readonly limits?: Partial<ConnectionLimits>;
  /** Those who say for whom they ask; nobody when absent. */
  readonly trusted?: TrustedProxies | undefined;
  /** Which requests may go on with another protocol; none when absent. At most half of all connections do unless given. */
  readonly upgrades?: Omit<UpgradeOptions, "max" | "Response"> & { readonly max?: number | undefined };
  /** What comes before HTTP on each connection; nothing when absent. */
  readonly front?: Pick<FrontOptions, "certificates" | "deadlineMs"> & {
    /** Whether connections of those who are trusted begin with a PROXY header. */
    readonly proxyProtocol: boolean;
  };
  /** Whether clients may speak HTTP/2 too: over TLS where they agree on it, with prior knowledge where there is none. */
  readonly http2?: boolean;
  /** Gets what a handler throws, which is a mistake of ours, and learns when connections are at their limit. */
  readonly log?: Pick<Logger, "error" | "warn">;
}

/** Answers one request. What it throws, or rejects with, ends that request alone. */
export type Handler = (req: IncomingMessage, res: ServerResponse) => unknown;

/** Request heads of up to 1 MiB are taken, as Go servers do. */
export const MAX_HEADER_BYTES = 1024 * 1024;

/** Longest time for a request's head. */
const HEAD_TIMEOUT_MS = 20_000;
/** Longest time for a whole request, where nothing else is said. */
const REQUEST_TIMEOUT_MS = 300_000;

/** @throws the listen error, e.g. code `EADDRINUSE` */
export async function listen(handler: Handler, options: ListenOptions): Promise<DrainingServer> {
  const { port, host, trusted, log } = options;
  const scheme = options.front?.certificates ? "https" : "http";
  const { requestTimeout = REQUEST_TIMEOUT_MS, ...others } = options.server ?? {};
  const maxConnections = options.limits?.maxConnections ?? shareConnections(descriptorLimit()).calls;
  const frontMax = frontShare(options.front, maxConnections);
  const limits = {
    requestMs: requestTimeout || Number.POSITIVE_INFINITY,
    ...options.limits,
    maxConnections: maxConnections - frontMax,
  };
  const connections = new Connections(
    guarded(settled(handler, trusted, scheme), log),
    limits,
    sayNowAndThen(limits.maxConnections, port, log),
  );
  // Where each request may need another connection, there can be half as many at a time.
  const maxBusy = limits.maxConnections / (limits.others ? 2 : 1);
  const upgrades = openUpgrades(connections, maxBusy, options.upgrades);
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    ...others,
    shouldUpgradeCallback: upgrades.shouldUpgrade,
    ...headTimeouts(requestTimeout, others.headersTimeout),
    // Node has but one for all requests.
    requestTimeout: 0,
  });
  server.closeIdleConnections = connections.closeKept;
  server.on("request", connections.onRequest);
  const attach = detachParser(server);
  const serve = (socket: Socket) => {
    if (trusted) noteForwarder(socket, trusted);
    attach(socket);
    connections.onConnection(socket);
  };
  const http2 = options.http2 ? new Http2Front(serve, Math.floor(maxBusy / 2)) : undefined;
  const serveHttp2 = http2 && ((socket: Socket) => connections.admit(socket) && http2.serve(socket));
  const front = frontMax > 0 ? openFront(options, frontMax, { http1: serve, http2: serveHttp2 }) : undefined;
  server.on("connection", front?.onConnection ?? serve);
  server.on("clientError", (error: ParseError, socket) => {
    const connection = connections.at(socket as Socket);
    if (socket instanceof Socket && http2?.takesOver(error, socket, connection?.req === undefined)) {
      if (connection) connection.tunnelled = true;
      return;
    }
    if (socket instanceof Socket && connections.startsAnew(socket, error.rawPacket)) {
      const escaped = escapeTarget(error);
      if (escaped) {
        connections.release(socket);
        serve(new EscapedSocket(socket, escaped) as Duplex as Socket);
        return;
      }
    }
    // What follows the last request of a connection is nobody's, and must not overtake the answer that is owed.
    if (error.code === "HPE_CLOSED_CONNECTION" && connection?.current) return;
    // It is no longer this server's business what its first parser thinks of the connection.
    if (!isEscaped(socket)) answerMalformed(error, socket);
  });
  server.on("checkContinue", (req, res) => {
    leaveToReader(req, res, () => server.listening && req.socket instanceof Socket);
    server.emit("request", req, res);
  });
  server.on("connect", refuseTunnel);
  // An older Node would hand over all of them, also those that are not for us.
  if ("shouldUpgradeCallback" in server) server.on("upgrade", upgrades.onUpgrade);
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", resolve);
  const socketPath = socketPathOf(host);
  if (socketPath === undefined) server.listen({ port, host, reusePort: options.reusePort ?? false });
  else await listenOnSocket(server, socketPath, options.socketMode ?? DEFAULT_SOCKET_MODE);
  await listening;
  server.off("error", reject);

  const bound = socketPath === undefined ? (server.address() as AddressInfo).port : 0;
  let draining: Promise<void> | undefined;
  return {
    server,
    port: bound,
    url: urlOf(scheme, host, bound),
    drain(timeoutMs) {
      front?.close();
      draining ??= drain(server, { connections, upgrades, http2 }, timeoutMs);
      return draining;
    },
  };
}

/** Where connections have no limit. */
const MAX_UPGRADES = 10_000;

function openUpgrades(
  connections: Connections,
  maxBusy: number,
  given: ListenOptions["upgrades"] = { accepts: () => false, idleMs: 0, max: 0 },
): Upgrades {
  const max = given.max ?? Math.min(MAX_UPGRADES, Math.floor(maxBusy / 2));
  return new Upgrades(connections, { ...given, Response, max });
}

/** A server at its limit is there many times a second. */
const SAY_EVERY_MS = 60_000;

function sayNowAndThen(connections: number, port: number, log: ListenOptions["log"]): () => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - saidAt < SAY_EVERY_MS) return;
    saidAt = now;
    log?.warn({ port, connections }, "connection limit reached; closing idle connections and rejecting new ones");
  };
}

/** Node looks at its deadlines now and then only; how long a head may take says how often that must be. */
function headTimeouts(requestTimeout: number, given: number | undefined): ServerOptions {
  // 0 turns a limit off. That of a head stays, as there is no reason to be slow with it.
  const head = given ?? Math.min(HEAD_TIMEOUT_MS, requestTimeout || HEAD_TIMEOUT_MS);
  return {
    headersTimeout: head,
    connectionsCheckingInterval: Math.min(5_000, Math.max(100, Math.ceil(head / 10))),
  };
}

/** Takes from a server what it does with connections, so that something else may come before. */
function detachParser(server: Server): (socket: Socket) => void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket);
  };
}

/** Part of all connections that may be before HTTP, and most of them. */
const FRONT_SHARE = 1 / 4;
const LEAST_FRONT = 4;
const MOST_FRONT = 10_000;

/** @returns 0 where nothing comes before HTTP */
function frontShare(front: ListenOptions["front"], maxConnections: number): number {
  if (!front?.certificates && !front?.proxyProtocol) return 0;
  return Math.max(LEAST_FRONT, Math.min(MOST_FRONT, Math.floor(maxConnections * FRONT_SHARE)));
}

interface Serving {
  readonly http1: (socket: Socket) => void;
  readonly http2: ((socket: Socket) => void) | undefined;
}

function openFront({ front, trusted, log }: ListenOptions, max: number, serve: Serving): Front {
  return new Front(
    {
      certificates: front?.certificates,
      deadlineMs: front?.deadlineMs,
      proxies: front?.proxyProtocol ? trusted : undefined,
      http2: serve.http2,
      max,
      log,
    },
    serve.http1,
  );
}

/** Requests say no more of their way here than is known. */
function settled(handler: Handler, trusted: TrustedProxies | undefined, scheme: "http" | "https"): Handler {
  if (!trusted && scheme === "http") return handler;
  const known = { trusted, scheme };
  return (req, res) => {
    settleForwarding(req, known);
    return handler(req, res);
  };
}

/** Nothing that a request can bring about may become an uncaught exception. */
function guarded(handler: Handler, log: ListenOptions["log"]): (req: IncomingMessage, res: ServerResponse) => void {
  const failed = (err: unknown, req: IncomingMessage, res: ServerResponse) => {
    log?.error({ err, method: req.method }, "request handler failed");
    if (res.headersSent) res.destroy();
    else refuse(res, 500, "internal error");
  };
  return (req, res) => {
    const problem = checkHead(req);
    if (problem) {
      refuse(res, problem.status, problem.text);
      return;
    }
    try {
      const pending = handler(req, res);
      if (pending instanceof Promise) pending.catch((err: unknown) => failed(err, req, res));
    } catch (err) {
      failed(err, req, res);
    }
  };
}

function refuse(res: ServerResponse, status: number, text: string): void {
  const code = codeOfStatus(status);
  if (code !== undefined) res.setHeader(ERROR_HEADER, code);
  const headers = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
  res.writeHead(status, { ...headers, Connection: "close" }).end(`${text}\n`);
}

/** What Node's parser refuses never reaches a handler; the client learns why all the same. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // After other answers on the connection, text could end up in the middle of one.
  if ((socket as Duplex & { bytesWritten: number }).bytesWritten > 0 || error.code === "ECONNRESET") {
    closeSocket(socket);
  } else if (error.code === "HPE_HEADER_OVERFLOW") {
    closeSocket(socket, closingAnswer(431, "Request Header Fields Too Large"));
  } else if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") {
    closeSocket(socket, closingAnswer(408, "Request Timeout"));
  } else closeSocket(socket, closingAnswer(400, "Bad Request"));
}

/** Node hands `CONNECT` over by itself: a tunnel is not for us. */
function refuseTunnel(_req: IncomingMessage, socket: Duplex): void {
  closeSocket(socket, closingAnswer(405, "Method Not Allowed", ""));
}

/** How soon a kept connection is closed whose last request has just been answered. */
const IDLE_SWEEP_MS = 20;

/** How long connections are still taken, so that each busy one gets an answer that says it is the last. */
const LAST_ANSWERS_MS = 150;

/** Tunnels have no end of their own: this part of the time is theirs, and in the rest they are closed in order. */
const TUNNEL_SHARE = 0.8;

interface Served {
  readonly connections: Connections;
  readonly upgrades: Upgrades;
  readonly http2: Http2Front | undefined;
}

async function drain(server: Server, { connections, upgrades, http2 }: Served, timeoutMs: number): Promise<void> {
  const { promise: late, resolve: giveUp } = Promise.withResolvers<void>();
  const cut = setTimeout(() => {
    server.closeAllConnections();
    http2?.closeAll();
    connections.closeAll(); // those too that have left the server, as tunnels do
    giveUp();
  }, timeoutMs);
  const endTunnels = setTimeout(() => upgrades.endAll(), timeoutMs * TUNNEL_SHARE);
  // A caller that learns from the answer that the connection ends does not send its next request into the closing.
  const used = connections.used;
  for (const res of connections.answers()) res.shouldKeepAlive = false;
  server.prependListener("request", (_req, res: ServerResponse) => {
    res.shouldKeepAlive = false;
  });
  if (used) await sleep(Math.min(LAST_ANSWERS_MS, timeoutMs));
  await acceptWaiting(server);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  http2?.drain();
  server.closeIdleConnections();
  // Who has just connected is about to ask something.
  const endSilent = setTimeout(() => connections.closeSilent(), LAST_ANSWERS_MS);
  // Node closes what is idle now; what becomes idle later would stay for all of its keep-alive time.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  await Promise.race([closed, late]);
  clearInterval(sweep);
  clearTimeout(endSilent);
  clearTimeout(endTunnels);
  clearTimeout(cut);
}

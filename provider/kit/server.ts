import type { RequestListener, Server, ServerOptions, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { createServer } from "./http.ts";

export interface DrainingServer {
  readonly server: Server;
  readonly port: number;
  /** `http://host:port`, with a host that can be dialled from this machine. */
  readonly url: string;
  /** Refuses new connections, lets requests under way finish, and cuts what is left after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly port: number;
  readonly host: string;
  readonly server?: ServerOptions;
}

/** Request heads of up to 1 MiB are taken, as Go servers do. */
export const MAX_HEADER_BYTES = 1024 * 1024;

/** @throws the listen error, e.g. code `EADDRINUSE` */
export async function listen(handler: RequestListener, { port, host, server: options }: ListenOptions) {
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, ...options }, handler);
  return await bind(server, port, host);
}

async function bind(server: Server, port: number, host: string): Promise<DrainingServer> {
  server.on("clientError", answerMalformed);
  // Every connection, with the answer to its last request. One entry a connection: this runs for every request.
  const connections = new Map<Socket, ServerResponse | undefined>();
  server.on("connection", (socket: Socket) => {
    connections.set(socket, undefined);
    socket.on("close", () => connections.delete(socket));
  });
  server.prependListener("request", (req, res: ServerResponse) => {
    connections.set(req.socket, res);
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  await listening;
  server.off("error", reject);

  const bound = (server.address() as AddressInfo).port;
  const dialled = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  let draining: Promise<void> | undefined;
  return {
    server,
    port: bound,
    url: `http://${dialled.includes(":") ? `[${dialled}]` : dialled}:${bound}`,
    drain(timeoutMs) {
      draining ??= drain(server, connections, timeoutMs);
      return draining;
    },
  };
}

/** What Node's parser refuses never reaches a handler; the client learns why all the same. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // After other answers on the connection, text could end up in the middle of one.
  if (!socket.writable || (socket as Socket).bytesWritten > 0 || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`);
}

/** How soon a kept connection is closed whose last request has just been answered. */
const IDLE_SWEEP_MS = 20;

/** How long connections are still taken, so that each busy one gets an answer that says it is the last. */
const LAST_ANSWERS_MS = 150;

async function drain(
  server: Server,
  connections: ReadonlyMap<Socket, ServerResponse | undefined>,
  timeoutMs: number,
): Promise<void> {
  // A caller that learns from the answer that the connection ends does not send its next request into the closing.
  const used = [...connections.values()].filter((res) => res !== undefined);
  for (const res of used) res.shouldKeepAlive = false;
  server.prependListener("request", (_req, res: ServerResponse) => {
    res.shouldKeepAlive = false;
  });
  if (used.length > 0) await delay(Math.min(LAST_ANSWERS_MS, timeoutMs));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  // To Node a connection that has not sent anything yet is one that waits for an answer, not an idle one.
  for (const socket of connections.keys()) if (socket.bytesRead === 0) socket.destroy();
  // Node closes what is idle now; what becomes idle later would stay for all of its keep-alive time.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  const cut = setTimeout(() => server.closeAllConnections(), timeoutMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { closeSocket, closingAnswer } from "./close-socket.ts";
import { ServedConnection } from "./connection.ts";
import { OldestIdle } from "./oldest-idle.ts";
import type { OtherConnections } from "./other-connections.ts";

/** What connections may take of a server; what goes beyond is closed, not kept. Durations in milliseconds. */
export interface ConnectionLimits {
  /** Connections at a time. For one more, the one that has been idle for longest goes. */
  readonly maxConnections: number;
  /**
   * Connections that count as these do: requests need them, and idle connections make room for them. As many as there are
   * requests under way are expected of them at least. Nobody's when absent.
   */
  readonly others?: OtherConnections;
  /** Requests sent on one connection before the answer to the first of them. They are served one at a time. */
  readonly maxPipelined: number;
  /** The same, over all connections. */
  readonly maxPipelinedTotal: number;
  /** Bytes of unfinished request heads, over all connections. */
  readonly maxHeadBytesTotal: number;
  /** Longest time from a request's head to its end, unless it is given more by {@link giveTime}. */
  readonly requestMs: number;
  /** A request's body from which nothing has come for so long, while somebody waits for it, is not going to be whole. */
  readonly bodyStallMs: number;
  /** An answer of which nothing has been taken for so long is not going to be read. */
  readonly answerStallMs: number;
  /** How long the rest of a body is read off that came too late for its answer. */
  readonly lingerMs: number;
  /** How often a connection is read on which requests wait already: who has left is not noticed otherwise. */
  readonly peekMs: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  maxConnections: Number.POSITIVE_INFINITY,
  maxPipelined: 100,
  maxPipelinedTotal: 10_000,
  maxHeadBytesTotal: 32 * 1024 ** 2,
  requestMs: Number.POSITIVE_INFINITY,
  bodyStallMs: 30_000,
  answerStallMs: 60_000,
  lingerMs: 30_000,
  peekMs: 10_000,
};

/** How often all connections are looked at. */
const SWEEP_MS = 100;

const TIMED_OUT = closingAnswer(408, "Request Timeout");

/** Requests that may take longer than others. */
const longer = new WeakMap<IncomingMessage, number>();

/** The whole of `req` may take so long to come, in milliseconds, when that is more than its server gives. */
export function giveTime(req: IncomingMessage, ms: number): void {
  longer.set(req, ms);
}

/** All connections of one server, held to their limits. */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #handler: RequestListener;
  readonly #all = new Map<Socket, ServedConnection>();
  #pending = 0;
  /** Connections whose request is under way. */
  #busy = 0;
  readonly #oldest = new OldestIdle();
  #sweep: NodeJS.Timeout | undefined;
  /** The time of the last look at them: exact enough to tell who has been idle for longest. */
  #now = 0;
  readonly #onFull: () => void;

  /**
   * @param handler never called for a connection that still waits for an answer of its
   * @param onFull called for each connection that is turned away or closed to make room
   */
  constructor(handler: RequestListener, limits: Partial<ConnectionLimits> = {}, onFull: () => void = () => {}) {
    this.#handler = handler;
    this.#limits = { ...DEFAULT_CONNECTION_LIMITS, ...limits };
    this.#onFull = onFull;
    this.#limits.others?.watch(this.#makeRoomForOthers);
  }

  get size(): number {
    return this.#all.size;
  }

  /** For the server's event `connection`. */
  readonly onConnection = (socket: Socket): void => {
    if (this.#all.size === 0) this.#now = performance.now();
    if (this.#taken >= this.#limits.maxConnections) {
      this.#onFull();
      if (!this.#makeRoom()) {
        closeSocket(socket);
        return;
      }
    }
    this.#all.set(socket, new ServedConnection(socket, this.#now, this.#answered));
    socket.on("close", () => this.#forget(socket));
    this.#sweep ??= setInterval(this.#look, SWEEP_MS).unref();
  };

  /** For the server's event `request`. */
  readonly onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    const connection = this.#all.get(req.socket);
    // It was turned away, and what it had sent already is of no interest.
    if (connection === undefined) return;
    if (connection.once || connection.last === req) res.shouldKeepAlive = false;
    if (connection.current === undefined) this.#serve(connection, req, res);
    else this.#postpone(connection, req, res);
  };

  /** Whether nothing of a request had come before `packet`, the last that has, and no answer is owed. */
  startsAnew(socket: Socket, packet: Buffer | undefined): boolean {
    const connection = this.#all.get(socket);
    if (!connection?.idle || (connection.req && !connection.req.complete)) return false;
    return connection.headFrom === socket.bytesRead - (packet?.length ?? 0);
  }

  /** Counts a connection that speaks another protocol from its beginning. @returns whether there was room for it */
  admit(socket: Socket): boolean {
    this.onConnection(socket);
    const connection = this.#all.get(socket);
    if (connection) connection.tunnelled = true;
    return connection !== undefined;
  }

  /** What is known of a connection; undefined for one that is none of these. */
  at(socket: Socket): ServedConnection | undefined {
    return this.#all.get(socket);
  }

  /** Has nothing to do with a connection any more: it goes on as another. */
  release(socket: Socket): void {
    this.#forget(socket);
  }

  /** Every connection's last answer, complete or not; undefined for one without. */
  *answers(): Generator<ServerResponse> {
    for (const { current } of this.#all.values()) if (current) yield current;
  }

  /** Whether any connection has had a request. */
  get used(): boolean {
    for (const { req } of this.#all.values()) if (req) return true;
    return false;
  }

  /**
   * Closes those that are kept for another request. In place of `closeIdleConnections` of Node's server, to which an answer is
   * sent once it is written to its end, however much of it still waits for its reader.
   */
  readonly closeKept = (): void => {
    for (const connection of this.#all.values()) if (connection.kept) connection.socket.destroy();
  };

  /** Closes those that have never sent anything: to Node they wait for an answer. */
  closeSilent(): void {
    for (const { socket, req, headFrom } of this.#all.values()) {
      if (!req && socket.bytesRead === headFrom) socket.destroy();
    }
  }

  /** Closes all, also those that a server knows nothing of any more. */
  closeAll(): void {
    for (const socket of this.#all.keys()) closeSocket(socket);
  }

  /** Connections that there are, and those that requests under way have or will need. */
  get #taken(): number {
    const { others } = this.#limits;
    return others ? this.#all.size + Math.max(this.#busy, others.descriptors) : this.#all.size;
  }

  readonly #makeRoomForOthers = (): void => {
    if (this.#taken > this.#limits.maxConnections && this.#makeRoom()) this.#onFull();
  };

  #serve(connection: ServedConnection, req: IncomingMessage, res: ServerResponse): void {
    connection.req = req;
    connection.current = res;
    this.#busy++;
    if (this.#limits.others) this.#makeRoomForOthers();
    connection.servedAt = this.#now;
    connection.readAt = this.#now;
    res.on("close", connection.onAnswered);
    this.#handler(req, res);
  }

  #postpone(connection: ServedConnection, req: IncomingMessage, res: ServerResponse): void {
    const { maxPipelined, maxPipelinedTotal } = this.#limits;
    connection.pending ??= [];
    if (connection.pending.length >= maxPipelined || this.#pending >= maxPipelinedTotal) {
      closeSocket(connection.socket);
      return;
    }
    if (connection.pending.length === 0) connection.peekedAt = this.#now;
    connection.pending.push([req, res]);
    this.#pending++;
    // Not yet: Node's parser lets the socket go on at the end of each message.
    process.nextTick(pauseSocket, connection);
  }

  readonly #answered = (connection: ServedConnection): void => {
    this.#busy--;
    connection.current = undefined;
    connection.clogged = false; // from here on the time is that of a kept connection
    if (connection.socket.destroyed) return;
    connection.headFrom = connection.socket.bytesRead;
    readOff(connection);
    connection.idleAt = this.#now;
    const next = connection.pending?.shift();
    if (!next) return;
    this.#pending--;
    if (connection.pending?.length === 0) connection.socket.resume();
    this.#serve(connection, ...next);
  };

  #forget(socket: Socket): void {
    const connection = this.#all.get(socket);
    this.#all.delete(socket);
    this.#pending -= connection?.pending?.length ?? 0;
    if (this.#all.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** Closes the connection that has been idle for longest. @returns whether there was one */
  #makeRoom(): boolean {
    const socket = this.#oldest.find(this.#all);
    if (!socket) return false;
    this.#all.delete(socket);
    closeSocket(socket);
    return true;
  }

  readonly #look = (): void => {
    this.#now = performance.now();
    let headBytes = 0;
    const heads: { readonly connection: ServedConnection; readonly bytes: number }[] = [];
    for (const connection of this.#all.values()) {
      if (connection.tunnelled) continue;
      if (connection.req && !connection.req.complete) this.#lookAtBody(connection);
      else {
        const bytes = headBytesOf(connection);
        headBytes += bytes;
        if (bytes > 0) heads.push({ connection, bytes });
      }
      if (connection.current) this.#lookAtAnswer(connection);
      if (connection.pending && connection.pending.length > 0) this.#peek(connection);
    }
    if (headBytes > this.#limits.maxHeadBytesTotal) closeLargest(heads, headBytes - this.#limits.maxHeadBytesTotal);
  };

  #lookAtBody(connection: ServedConnection): void {
    const { socket, req, current, idleAt } = connection;
    const { bodyStallMs, lingerMs, requestMs } = this.#limits;
    const late = this.#now - connection.servedAt > requestMs && this.#isLate(connection);
    const read = socket.bytesRead;
    connection.headFrom = read;
    if (!current && this.#now - idleAt > lingerMs) closeSocket(socket);
    else if (late) closeSocket(socket, current && !current.headersSent ? TIMED_OUT : undefined);
    // Bytes that nobody has taken yet are not the sender's fault.
    else if (read !== connection.bytesRead || (req?.readableLength ?? 0) > 0) {
      connection.bytesRead = read;
      connection.readAt = this.#now;
    } else if (this.#now - connection.readAt > bodyStallMs) {
      closeSocket(socket, current && !current.headersSent ? TIMED_OUT : undefined);
    }
  }

  /** Its socket is paused again by the next request, if there is one. */
  #peek(connection: ServedConnection): void {
    if (this.#now - connection.peekedAt < this.#limits.peekMs) return;
    connection.peekedAt = this.#now;
    connection.socket.resume();
  }

  #isLate({ req, servedAt }: ServedConnection): boolean {
    const ms = (req && longer.get(req)) ?? 0;
    return this.#now - servedAt > ms;
  }

  /** The socket's own timer knows whether a write moves; but while nothing waits to be written, silence is no fault. */
  #lookAtAnswer(connection: ServedConnection): void {
    const { socket, clogged } = connection;
    connection.clogged = socket.writableLength > 0;
    if (connection.clogged !== clogged) socket.setTimeout(clogged ? 0 : this.#limits.answerStallMs);
  }
}

/** What is left of an answered request is read off, or the next one on its connection would never be seen. */
function readOff(connection: ServedConnection): void {
  const { req, socket } = connection;
  if (!req || req.complete) return;
  req.once("end", () => {
    connection.headFrom = socket.bytesRead;
  });
  req.unpipe();
  req.resume();
}

/** Bytes of heads that are not whole yet, or wait. */
function headBytesOf(connection: ServedConnection): number {
  const { socket, current } = connection;
  if (current && current !== connection.headBehind) {
    connection.headBehind = current;
    connection.headFrom = socket.bytesRead;
  }
  return socket.bytesRead - connection.headFrom;
}

function pauseSocket({ socket, pending }: ServedConnection): void {
  if (pending && pending.length > 0) socket.pause();
}

function closeLargest(
  heads: { readonly connection: ServedConnection; readonly bytes: number }[],
  excess: number,
): void {
  heads.sort((a, b) => b.bytes - a.bytes);
  let left = excess;
  for (const { connection, bytes } of heads) {
    if (left <= 0) return;
    left -= bytes;
    // Without a word: to say something, more would have to be read.
    closeSocket(connection.socket);
  }
}

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { closeSocket } from "./close-socket.ts";
import type { Connections } from "./connections.ts";
import { Tunnel } from "./tunnel.ts";
import { offeredProtocols } from "./upgrade-rules.ts";
import { ServerFrames } from "./websocket-frames.ts";

/** A number that several servers share. */
export interface SharedCount {
  /** Of all of them. */
  readonly count: number;
  /** Adds one here. @param limit 0 for none */
  enter(limit: number): boolean;
  /** Takes away one that was added here. */
  leave(): void;
}

export interface UpgradeOptions {
  /** Whether a request for `url` may change the protocol; the others are served as if they did not want to. */
  readonly accepts: (url: string, req: IncomingMessage) => boolean;
  /** Connections at a time that go on with another protocol. */
  readonly max: number;
  /** How many there are, where the limit is that of several servers; absent where it is that of this one. */
  readonly shared?: SharedCount | undefined;
  /** One in which nothing has moved for so long is closed, in milliseconds; Infinity for never. */
  readonly idleMs: number;
  /** Bytes that all of them together may hold back for slow readers. */
  readonly maxBufferedBytes?: number;
  /** What answers them that stay with HTTP. */
  readonly Response: new (
    req: IncomingMessage,
  ) => ServerResponse;
}

const MAX_BUFFERED_BYTES = 64 * 1024 ** 2;

/** How long a side may be in taking what was sent to it last, when the other one has closed. */
const CLOSING_MS = 60_000;

/** How often all of them are looked at. */
const SWEEP_MS = 1_000;
const LEAST_SWEEP_MS = 20;

/** Headers of an answer 101: by lower-case name, or names and values in turn. */
export type SwitchHeaders = Record<string, string | string[]> | string[];

const pending = new WeakMap<IncomingMessage, PendingUpgrade>();

/** What a request that may change the protocol of its connection offers; undefined for all others. */
export function upgradeOf(req: IncomingMessage): PendingUpgrade | undefined {
  // Node says so of very few, and only those are worth a look.
  return (req as IncomingMessage & { readonly upgrade?: boolean }).upgrade ? pending.get(req) : undefined;
}

/** A request that waits for its answer, which may be the last that its connection says in HTTP. */
export class PendingUpgrade {
  /** A value of `Upgrade`. */
  readonly protocols: string;
  readonly #upgrades: Upgrades;
  readonly #socket: Socket;
  readonly #res: ServerResponse;

  constructor(upgrades: Upgrades, protocols: string, socket: Socket, res: ServerResponse) {
    this.#upgrades = upgrades;
    this.protocols = protocols;
    this.#socket = socket;
    this.#res = res;
  }

  /** Whether there are as many as there may be. */
  get full(): boolean {
    return this.#upgrades.full;
  }

  /**
   * Answers 101 and joins the two connections. The answer counts as under way until the caller's is closed.
   * @param upstream with what it has sent since, if anything, still to be read
   * @param closed called when both are closed
   * @throws when a header cannot be sent; nothing is then
   */
  switchTo(headers: SwitchHeaders, upstream: Duplex, closed: () => void = () => {}): void {
    this.#res.writeHead(101, "Switching Protocols", headers as string[]);
    this.#res.flushHeaders();
    // Of one protocol that is offered no other can have been chosen.
    const frames = this.protocols.toLowerCase() === "websocket" ? new ServerFrames() : undefined;
    this.#upgrades.join(this.#socket, upstream, closed, frames);
  }
}

/** The connections of one server that change their protocol. */
export class Upgrades {
  readonly #connections: Connections;
  readonly #options: UpgradeOptions;
  readonly #open = new Set<Tunnel>();
  #sweep: NodeJS.Timeout | undefined;
  #ending = false;

  constructor(connections: Connections, options: UpgradeOptions) {
    this.#connections = connections;
    this.#options = options;
  }

  get full(): boolean {
    const { max, shared } = this.#options;
    return (shared?.count ?? this.#open.size) >= max;
  }

  /** For the server's `shouldUpgradeCallback`: what it refuses is an ordinary request. */
  readonly shouldUpgrade = (req: IncomingMessage): boolean => {
    const may = !this.#ending && this.#options.max > 0 && this.#options.accepts(req.url as string, req);
    // Behind an answer that is still owed it could not be kept apart from it.
    const connection = this.#connections.at(req.socket);
    const isFree = connection?.free && !hasAnswer(req.socket);
    if (may && offeredProtocols(req) !== undefined && isFree) return true;
    // Node loses what has come with its end, the next requests, and their sender would wait for ever.
    if (connection) connection.last = req;
    return false;
  };

  /** For the server's event `upgrade`: from here on the connection is ours, and Node reads no request of it any more. */
  readonly onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const client = socket as Socket;
    const res = new this.#options.Response(req);
    res.shouldKeepAlive = false;
    res.assignSocket(client);
    // There is no body, and nobody else is going to say so.
    req.complete = true;
    req.push(null);
    client.on("error", ignore);
    client.on("timeout", giveUp);
    client.on("drain", () => res.emit("drain"));
    client.on("end", leave);
    res.on("finish", () => {
      res.detachSocket(client);
      closeSocket(client, "");
      process.nextTick(emitClose, res);
    });
    pending.set(req, new PendingUpgrade(this, offeredProtocols(req) ?? "", client, res));
    if (head.length > 0) client.unshift(head);
    // As far as its buffer goes it is read already, so that a caller that leaves is noticed.
    client.read(0);
    this.#connections.onRequest(req, res);
  };

  join(client: Socket, upstream: Duplex, closed: () => void, frames?: ServerFrames): void {
    const connection = this.#connections.at(client);
    if (connection) connection.tunnelled = true;
    client.off("end", leave);
    client.off("timeout", giveUp);
    client.setTimeout(0);
    const onClosed = () => {
      this.#open.delete(tunnel);
      this.#options.shared?.leave();
      closed();
    };
    const tunnel = new Tunnel(client, upstream, performance.now(), onClosed, frames);
    this.#open.add(tunnel);
    this.#options.shared?.enter(0);
    const { idleMs } = this.#options;
    this.#sweep ??= setInterval(this.#look, Math.max(LEAST_SWEEP_MS, Math.min(SWEEP_MS, idleMs / 4))).unref();
    if (this.#ending) tunnel.end();
  }

  /** Lets all that are open close in order; none is opened any more. */
  endAll(): void {
    this.#ending = true;
    for (const tunnel of this.#open) tunnel.end();
  }

  readonly #look = (): void => {
    const now = performance.now();
    const { idleMs, maxBufferedBytes = MAX_BUFFERED_BYTES } = this.#options;
    let buffered = 0;
    for (const tunnel of this.#open) {
      buffered += tunnel.bufferedBytes;
      const movedMs = tunnel.idleMs(now);
      if (tunnel.closing && movedMs > Math.min(CLOSING_MS, idleMs)) tunnel.cut();
      else if (movedMs > idleMs) tunnel.end();
    }
    if (buffered > maxBufferedBytes) this.#cutLargest(buffered - maxBufferedBytes);
    if (this.#open.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  };

  #cutLargest(excess: number): void {
    let left = excess;
    const bySize = [...this.#open].sort((a, b) => b.bufferedBytes - a.bufferedBytes);
    for (const tunnel of bySize) {
      if (left <= 0) return;
      left -= tunnel.bufferedBytes;
      tunnel.cut();
    }
  }
}

/** Whether Node has an answer for the connection still, be it one that our handler has never seen. */
function hasAnswer(socket: Socket & { readonly _httpMessage?: ServerResponse | null }): boolean {
  return (socket._httpMessage ?? undefined) !== undefined;
}

function ignore(): void {}

function leave(this: Socket): void {
  this.destroy();
}

function giveUp(this: Socket): void {
  closeSocket(this);
}

function emitClose(res: ServerResponse): void {
  res.destroyed = true;
  res.emit("close");
}

import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { GOING_AWAY, type ServerFrames } from "./websocket-frames.ts";

/** Time for either side to close after it has been told that the other one is gone. */
const GOODBYE_MS = 1_000;

/**
 * Two connections joined into one: bytes go both ways, each at the pace of its reader, and so does the end of either
 * direction. A side that breaks off looks broken off to the other one.
 */
export class Tunnel {
  readonly #sides: readonly [client: Duplex, upstream: Duplex];
  readonly #onClosed: () => void;
  readonly #frames: ServerFrames | undefined;
  #open = 2;
  #flushed = 0;
  #movedAt: number;
  #ending = false;

  /**
   * @param onClosed called once, when both connections are closed
   * @param frames where they speak as WebSockets do, so that the client can be told why it ends
   */
  constructor(client: Duplex, upstream: Duplex, now: number, onClosed: () => void, frames?: ServerFrames) {
    this.#sides = [client, upstream];
    this.#frames = frames;
    this.#movedAt = now;
    this.#onClosed = onClosed;
    this.#watch(client, upstream);
    this.#watch(upstream, client);
    client.pipe(upstream);
    if (frames) upstream.on("data", (piece: Buffer) => frames.pass(piece));
    upstream.pipe(client, { end: false });
    upstream.once("end", () => this.#endClient());
  }

  /** Bytes that one side has sent and the other has not taken. */
  get bufferedBytes(): number {
    return this.#sides.reduce((bytes, side) => bytes + side.readableLength + side.writableLength, 0);
  }

  /** How long nothing has moved, in milliseconds, as far as it was asked for. */
  idleMs(now: number): number {
    const [client, upstream] = this.#sides as readonly Duplex[] as readonly Socket[] as [Socket, Socket];
    const flushed = progressOf(client) + progressOf(upstream);
    if (flushed !== this.#flushed) {
      this.#flushed = flushed;
      this.#movedAt = now;
    }
    return now - this.#movedAt;
  }

  /** Whether one side is closed, and the other one has yet to take the rest. */
  get closing(): boolean {
    return this.#open === 1;
  }

  /** Lets both sides close in order: the function learns first, and what it still has to say is passed on. */
  end(): void {
    if (this.#ending || this.#open < 2) return;
    this.#ending = true;
    const [client, upstream] = this.#sides;
    client.unpipe(upstream);
    client.resume(); // to notice that it closes
    upstream.end();
    const late = setTimeout(() => {
      upstream.unpipe(client);
      this.#endClient();
      upstream.destroy();
    }, GOODBYE_MS);
    upstream.once("close", () => clearTimeout(late));
  }

  /** Nothing more is sent to the client but, where a frame can follow what has been sent, that the server goes away. */
  #endClient(): void {
    const [client] = this.#sides;
    if (client.writableEnded || client.destroyed) return;
    if (this.#ending && this.#frames?.mayFollow) client.write(GOING_AWAY);
    client.end();
  }

  /** Ends it at once. */
  cut(): void {
    for (const side of this.#sides) side.destroy();
  }

  #watch(side: Duplex, other: Duplex): void {
    let broken = false;
    // May be changed until the end of what is read: who has nothing more to say may still listen.
    side.allowHalfOpen = true;
    if ("setNoDelay" in side) (side as Socket).setNoDelay(true);
    side.on("error", () => {
      broken = true;
    });
    side.on("close", () => {
      this.#open--;
      if (!this.#ending && (broken || !side.readableEnded)) breakOff(other);
      else {
        if (side === this.#sides[1]) this.#endClient();
        finish(other);
      }
      if (this.#open === 0) this.#onClosed();
    });
  }
}

/** Bytes that have come in and that have gone out, together. */
function progressOf(socket: Socket): number {
  return (socket.bytesRead ?? 0) + (socket.bytesWritten ?? 0) - socket.writableLength;
}

/** As the other side did: a reader must not take the part for the whole. */
function breakOff(side: Duplex): void {
  if (side.destroyed) return;
  if ("resetAndDestroy" in side) (side as Socket).resetAndDestroy();
  else side.destroy();
}

/** Nobody is left to read what it sends; what was sent to it still arrives. */
function finish(side: Duplex): void {
  if (side.destroyed) return;
  side.resume();
  side.end(() => {
    const late = setTimeout(() => side.destroy(), GOODBYE_MS);
    side.once("close", () => clearTimeout(late));
  });
}

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { EscapedSocket } from "./raw-target.ts";

type Pending = readonly [req: IncomingMessage, res: ServerResponse];

/** One connection of a server. Plain fields: it is touched by every request. */
export class ServedConnection {
  readonly socket: Socket;
  /** The request under way, or the last one that was. */
  req: IncomingMessage | undefined;
  /** The answer to it; undefined between two requests. */
  current: ServerResponse | undefined;
  /** When the request under way was given to the handler. */
  servedAt = 0;
  /** Requests that came meanwhile. */
  pending: Pending[] | undefined;
  /** Bytes read when the last answer was complete: what has come since belongs to the next head. */
  headFrom = 0;
  /** The answer under way when `headFrom` was set last: what comes meanwhile belongs to the heads behind it. */
  headBehind: ServerResponse | undefined;
  /** When it was last read although requests wait on it. */
  peekedAt = 0;
  /** Bytes read when last they were seen to have changed, and when that was. */
  bytesRead = 0;
  readAt: number;
  /** Whether the socket's time runs out, because the other side does not take what was written. */
  clogged = false;
  /** When the last answer was complete. */
  idleAt: number;
  readonly onAnswered: () => void;
  /** Whether it serves one request only. */
  readonly once: boolean;
  /** A request behind which nothing can be read, if there is one. */
  last: IncomingMessage | undefined;
  /** Whether it has gone on with another protocol: never idle, and what moves on it is for others to look at. */
  tunnelled = false;

  constructor(socket: Socket, now: number, answered: (connection: ServedConnection) => void) {
    this.socket = socket;
    this.readAt = now;
    this.idleAt = now;
    this.onAnswered = () => answered(this);
    this.once = socket instanceof EscapedSocket;
    // A proxy's word about it may have come before.
    if (!this.once) this.headFrom = socket.bytesRead - socket.readableLength;
  }

  get idle(): boolean {
    return this.current === undefined && !this.tunnelled;
  }

  /** Whether there is nothing under way on it: the answer has been sent whole, and no other request has begun. */
  get kept(): boolean {
    return this.idle && this.req?.complete === true && this.socket.bytesRead === this.headFrom;
  }

  /** Whether it serves more than one request, and owes no answer. */
  get free(): boolean {
    return this.idle && !this.once && (this.req === undefined || this.req.complete);
  }
}

import { connect, type Socket } from "node:net";
import type { OtherConnections } from "../other-connections.ts";
import type { AnswerFields, AnswerHead } from "./answer-head.ts";
import { AnswerParser, type AnswerSink } from "./answer-parser.ts";
import type { Carrier, ClientCall } from "./client-call.ts";

/** Who keeps the connections to a server. */
export interface ConnectionKeeper {
  connected(connection: ClientConnection): void;
  /** It has carried its call to the end, and can carry another one. */
  freed(connection: ClientConnection): void;
  /** It is of no use any more. @param failure why, when it has never been connected */
  gone(connection: ClientConnection, failure: Error | undefined): void;
}

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly maxHeadBytes: number;
  /** Counts it; nobody does when absent. */
  readonly others?: OtherConnections | undefined;
}

/** Without a word of the server's: shorter than any watchdog's own, so that we never send into a connection it is closing. */
const KEEP_ALIVE_MS = 20_000;
const MAX_KEEP_ALIVE_MS = 60_000;
/** The server's time runs from before ours, and it must not be the first to close. */
const KEEP_ALIVE_MARGIN_MS = 2_000;
/** Bodies up to this size go out in one write with their head. */
const JOINED_BODY_BYTES = 16 * 1024;
const READ_BYTES = 64 * 1024;

/** What is read is looked at before anything else is read, so all connections read into the same bytes. */
let readBuffer: Buffer | undefined;

/** A connection to a server, for one call at a time. */
export class ClientConnection implements AnswerSink, Carrier {
  readonly #socket: Socket;
  readonly #keeper: ConnectionKeeper;
  readonly #parser: AnswerParser;
  #connected = false;
  #gone = false;
  #failure: Error | undefined;
  #call: ClientCall | undefined;
  /** Whether the final answer of the call has begun. */
  #begun = false;
  /** Read already, while the call is held up. */
  #rest: Buffer | undefined;
  /** When it has waited for long enough for whatever comes next, by `performance.now()`. */
  #deadline: number;
  #keepAlive: string | undefined;
  #keepAliveMs = KEEP_ALIVE_MS;

  constructor({ host, port, connectTimeoutMs, maxHeadBytes, others }: ConnectionOptions, keeper: ConnectionKeeper) {
    this.#keeper = keeper;
    this.#parser = new AnswerParser(this, maxHeadBytes);
    this.#deadline = performance.now() + connectTimeoutMs;
    readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    const onread = { buffer: readBuffer, callback: (bytes: number) => this.#read(bytes) };
    this.#socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, onread });
    others?.add(this.#socket);
    this.#socket.on("connect", () => {
      this.#connected = true;
      this.#keeper.connected(this);
    });
    this.#socket.on("end", () => this.#ended());
    this.#socket.on("error", (error) => this.#close(error));
    this.#socket.on("close", () => this.#close(codedError("the other side closed the connection", "CLOSED")));
  }

  /** Sends `call`, unless who made it wants it no more. */
  carry(call: ClientCall): void {
    this.#call = call;
    if (!call.start(this)) {
      this.#call = undefined;
      if (!this.#gone) this.#free();
      return;
    }
    this.#begun = false;
    this.#wait(call.timeoutMs);
    const { head, request } = call;
    this.#parser.begin(request.method);
    const { body } = request;
    if (body === null || body.length === 0) this.#socket.write(head, "latin1");
    else if (body.length <= JOINED_BODY_BYTES) this.#socket.write(head + body.toString("latin1"), "latin1");
    else {
      this.#socket.cork();
      this.#socket.write(head, "latin1");
      this.#socket.write(body);
      this.#socket.uncork();
    }
  }

  /** Closes it if it has waited for too long. @param now by `performance.now()` */
  look(now: number): void {
    if (now < this.#deadline || this.#parser.paused) return;
    if (!this.#connected) this.#close(codedError("no connection in time", "CONNECT_TIMEOUT"));
    else if (!this.#call) this.#close(undefined);
    else if (this.#begun) this.#close(codedError("no more of the answer in time", "BODY_TIMEOUT"));
    else this.#close(codedError("no answer in time", "HEAD_TIMEOUT"));
  }

  #wait(ms: number): void {
    this.#deadline = ms > 0 ? performance.now() + ms : Number.POSITIVE_INFINITY;
  }

  #read(bytes: number): boolean {
    // Without being asked it says nothing that we could know the meaning of.
    if (this.#call === undefined) this.#close(undefined);
    else this.#take((readBuffer as Buffer).subarray(0, bytes));
    return true;
  }

  #take(piece: Buffer): void {
    let taken: number;
    try {
      taken = this.#parser.feed(piece);
    } catch (error) {
      this.#close(error as Error);
      return;
    }
    if (taken === piece.length || this.#gone) return;
    if (this.#call === undefined)
      this.#close(undefined); // there is more than the answer
    else this.#rest = Buffer.from(piece.subarray(taken));
  }

  onHead({ status, fields, reason }: AnswerHead): void {
    const call = this.#call as ClientCall;
    this.#wait(call.timeoutMs);
    if (status >= 200) {
      this.#begun = true;
      const { "keep-alive": keepAlive } = fields;
      if (keepAlive !== this.#keepAlive) this.#keepFor(keepAlive);
    }
    call.handler.onResponseStart(call, status, fields, reason);
  }

  #keepFor(keepAlive: string | string[] | undefined): void {
    this.#keepAlive = typeof keepAlive === "string" ? keepAlive : undefined;
    this.#keepAliveMs = keepAliveMs(this.#keepAlive);
  }

  onBody(piece: Buffer): void {
    const call = this.#call as ClientCall;
    this.#wait(call.timeoutMs);
    call.handler.onResponseData(call, Buffer.from(piece));
  }

  onEnd(trailers: AnswerFields, persistent: boolean): void {
    const call = this.#call as ClientCall;
    this.#call = undefined;
    // What it has not read of the request it would take for the next one.
    if (persistent && this.#socket.writableLength === 0 && this.#keepAliveMs > 0) this.#free();
    else this.#close(undefined);
    call.end(trailers);
  }

  #free(): void {
    if (this.#parser.paused) this.resume();
    this.#wait(this.#keepAliveMs);
    this.#keeper.freed(this);
  }

  #ended(): void {
    try {
      this.#parser.finish();
      this.#close(undefined);
    } catch (error) {
      this.#close(error as Error);
    }
  }

  /** @param error what a call that is under way fails with */
  #close(error: Error | undefined): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#failure = error;
    this.#parser.stop();
    this.#socket.destroy();
    const call = this.#call;
    this.#call = undefined;
    this.#keeper.gone(this, this.#connected ? undefined : this.#failure);
    call?.fail(error ?? codedError("the connection is closed", "CLOSED"));
  }

  pause(): void {
    this.#parser.pause();
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#parser.paused) return;
    this.#parser.resume();
    const { timeoutMs } = this.#call ?? { timeoutMs: 0 };
    this.#wait(timeoutMs);
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest) this.#take(rest);
    if (!this.#parser.paused && !this.#gone) this.#socket.resume();
  }

  drop(): void {
    this.#call = undefined;
    this.#close(undefined);
  }

  /** Cuts it, and the call that it carries. */
  destroy(error: Error): void {
    this.#close(error);
  }
}

const TIMEOUT = /(?:^|,)[\t ]*timeout=([0-9]{1,6})/i;

/** How long a server that says so keeps an idle connection, less a margin; 0 when that is too short to be of use. */
function keepAliveMs(keepAlive: string | undefined): number {
  const told = keepAlive === undefined ? undefined : TIMEOUT.exec(keepAlive)?.[1];
  if (told === undefined) return KEEP_ALIVE_MS;
  return Math.min(MAX_KEEP_ALIVE_MS, Math.max(0, Number(told) * 1000 - KEEP_ALIVE_MARGIN_MS));
}

function codedError(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** What Node's parser refuses: its code, and what came last of the connection. */
export interface ParseError extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
  /** Of that. */
  readonly bytesParsed?: number;
}

const REQUEST_LINE = /^[A-Z]{1,20} [!-~\x80-\xff]+ HTTP\/1\.[01]\r?$/;

/**
 * Node's parser refuses a request target that holds other bytes than those of ASCII, as `curl` and others send what a
 * person types. Escaped it is the same target, which Go's servers, OpenFaaS's gateway among them, make of it too.
 * @returns the beginning of the connection with the first request's target escaped; undefined when that is not what is
 *   wrong with it
 */
export function escapeTarget({ code, rawPacket, bytesParsed = 0 }: ParseError): Buffer | undefined {
  const end = rawPacket?.indexOf(0x0a) ?? -1;
  // What is wrong is in the first line, and the parser was at its target when it met that.
  if (code !== "HPE_INVALID_URL" || !rawPacket || end < 0 || bytesParsed > end) return undefined;
  const line = rawPacket.toString("latin1", 0, end);
  if (!REQUEST_LINE.test(line)) return undefined;
  const escaped = line.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  return Buffer.concat([Buffer.from(escaped, "latin1"), rawPacket.subarray(end)]);
}

const escapedSockets = new WeakSet<Duplex>();

/** Whether what it brings is read through an {@link EscapedSocket}. */
export function isEscaped(socket: Duplex): boolean {
  return escapedSockets.has(socket);
}

/** A connection whose beginning is replaced, for a server to begin anew with. It serves one request. */
export class EscapedSocket extends Duplex {
  readonly #socket: Socket;

  /** @param beginning in the place of all that has been read of `socket` */
  constructor(socket: Socket, beginning: Buffer) {
    super();
    this.#socket = socket;
    escapedSockets.add(socket);
    // Those of the parser that has given up.
    socket.removeAllListeners("data");
    socket.on("data", (piece) => {
      if (!this.push(piece)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("close", () => this.destroy());
    socket.on("timeout", () => this.emit("timeout"));
    this.push(beginning);
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  setTimeout(ms: number): this {
    this.#socket.setTimeout(ms);
    return this;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(piece: Buffer, encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    this.#socket.write(piece, encoding, written);
  }

  override _final(ended: () => void): void {
    this.#socket.end(ended);
  }

  override _destroy(error: Error | null, destroyed: (error?: Error | null) => void): void {
    this.#socket.destroy();
    destroyed(error);
  }
}

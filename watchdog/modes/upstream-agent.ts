import { Agent, type ClientRequestArgs } from "node:http";
import { Socket, type TcpNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";

/** Connections to the function's own server. */
export class UpstreamAgent extends Agent {
  override createConnection(options: ClientRequestArgs): Duplex {
    const target = options as TcpNetConnectOpts & { timeout?: number };
    const socket = new UpstreamSocket(target);
    if (target.timeout !== undefined) socket.setTimeout(target.timeout);
    return socket.connect(target);
  }
}

type Written = (error?: Error | null) => void;

/**
 * A connection of which the answer can still be read when the other side takes no more of the request: who refuses an
 * upload answers and closes. Node would give the connection up with the answer unread in it.
 */
export class UpstreamSocket extends Socket {
  /** The other side has closed while it was written to. */
  #refused = false;

  override _write(chunk: Buffer, encoding: BufferEncoding, written: Written): void {
    if (this.#refused) written();
    else super._write(chunk, encoding, (error) => this.#settle(error, written));
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], written: Written): void {
    if (this.#refused) written();
    else super._writev?.(chunks, (error) => this.#settle(error, written));
  }

  #settle(error: Error | null | undefined, written: Written): void {
    const code = (error as NodeJS.ErrnoException | null | undefined)?.code;
    if (code !== "EPIPE" && code !== "ECONNRESET") {
      written(error);
      return;
    }
    // Reading goes on, and finds the end of the connection behind the answer.
    this.#refused = true;
    written();
  }
}

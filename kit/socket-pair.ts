import { Duplex } from "node:stream";

type Done = (error?: Error | null) => void;

/** One end of a connection within the process: what is written to it is read at the other end, at that end's pace. */
export class PairedSocket extends Duplex {
  readonly remoteAddress: string | undefined;
  bytesRead = 0;
  bytesWritten = 0;
  readonly #isClient: boolean;
  #other: PairedSocket | undefined;
  /** Called when the other end wants more. */
  #taken: Done | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(isClient: boolean, remoteAddress?: string) {
    super({ allowHalfOpen: true });
    this.#isClient = isClient;
    this.remoteAddress = remoteAddress;
  }

  /** @param remoteAddress of the client's end */
  static pair(remoteAddress: string | undefined): { client: PairedSocket; server: PairedSocket } {
    const client = new PairedSocket(true);
    const server = new PairedSocket(false, remoteAddress);
    client.#other = server;
    server.#other = client;
    return { client, server };
  }

  override _read(): void {
    const other = this.#other;
    if (!other) return;
    const taken = other.#taken;
    other.#taken = undefined;
    taken?.();
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: Done): void {
    const other = this.#other;
    if (!other || other.destroyed) {
      done(Object.assign(new Error("the other end is closed"), { code: "EPIPE" }));
      return;
    }
    this.bytesWritten += piece.length;
    other.bytesRead += piece.length;
    this.#timer?.refresh();
    other.#timer?.refresh();
    if (other.push(piece)) done();
    else this.#taken = done;
  }

  override _final(done: Done): void {
    if (!this.#other?.destroyed) this.#other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#timer);
    const isBrokenOff = error !== null || this.writableLength > 0;
    this.#taken?.(error);
    this.#taken = undefined;
    const other = this.#other;
    // Later, as a connection would be.
    if (other && !other.destroyed) process.nextTick(() => other.#closedByOther(this.writableFinished, isBrokenOff));
    done(error);
  }

  #closedByOther(inOrder: boolean, isBrokenOff: boolean): void {
    if (inOrder && this.writableEnded) return;
    if (this.readableEnded || inOrder) this.end();
    // A server's whole answer arrives, as over a connection; a client that goes takes along what it has asked.
    else if (this.#isClient && !isBrokenOff) {
      this.once("end", () => this.end());
      this.push(null);
      this.read(0); // where there is nothing to read, nobody else would find the end
    } else this.destroy();
  }

  /** As a connection's: `timeout` is emitted when nothing has moved for so long. */
  setTimeout(ms: number): this {
    clearTimeout(this.#timer);
    this.#timer = ms > 0 ? setTimeout(() => this.emit("timeout"), ms).unref() : undefined;
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

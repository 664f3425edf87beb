import type { IncomingMessage } from "node:http";
import type { TransformCallback } from "node:stream";
import { BodyInTurns } from "../../http/body-in-turns.ts";
import { trailerFields } from "../../http/forwarding.ts";

/** A body of which it is known how much has come. */
export class CountedBody extends BodyInTurns {
  /** That have come through so far. */
  bytes = 0;

  override _transform(piece: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += piece.length;
    super._transform(piece, encoding, done);
  }
}

/** A body that is not read until somebody asks for it: a replica that has taken the call. */
export class AwaitedBody extends CountedBody {
  readonly #req: IncomingMessage;
  #wanted = false;

  constructor(req: IncomingMessage) {
    super();
    this.#req = req;
    this.on("error", () => {}); // the code that destroys it fails the call itself
  }

  /** Names of the fields that follow it; undefined for one that announces none. */
  get announced(): string | undefined {
    return this.#req.headers.trailer;
  }

  /** The fields that have followed it, once it has ended. */
  get trailers(): [name: string, value: string][] {
    return trailerFields(this.#req.rawTrailers);
  }

  override _read(size: number): void {
    if (!this.#wanted) {
      this.#wanted = true;
      this.#req.pipe(this);
    }
    super._read(size);
  }
}

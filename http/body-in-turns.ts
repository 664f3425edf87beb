import { PassThrough, type TransformCallback } from "node:stream";
import { BodyTurns } from "./turn-share.ts";

/** A body that is passed on piece by piece, in turns with the others. */
export class BodyInTurns extends PassThrough {
  readonly #turns = new BodyTurns();

  override _transform(piece: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#turns.take(piece.length)) super._transform(piece, encoding, done);
    else this.#turns.wait(() => super._transform(piece, encoding, done));
  }
}

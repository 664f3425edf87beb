import { sniffContentType } from "../../http/sniff.ts";

/** How long a head waits for the first piece of its body; a stream's reader wants to know that it is connected. */
const PATIENCE_MS = 100;

/** The head of an answer that does not say what it is, kept back until its first piece tells, as OpenFaaS's watchdogs do. */
export class UntypedHead {
  readonly #begin: (type: string | undefined) => void;
  #timer: NodeJS.Timeout | undefined;
  #released = false;

  /** @param begin sends the head; without a type when there is nothing to tell it from */
  constructor(begin: (type: string | undefined) => void) {
    this.#begin = begin;
    // Mostly the piece comes with the head, and no timer is needed.
    process.nextTick(wait, this);
  }

  /** Begins to wait for the piece, if it has not come. */
  wait(): void {
    if (!this.#released) this.#timer = setTimeout(this.#begin, PATIENCE_MS, undefined);
  }

  /** @param piece the first one; absent at the end of a body that had none */
  release(piece?: Buffer): void {
    this.drop();
    this.#begin(piece && sniffContentType(piece));
  }

  /** It is not going to be sent. */
  drop(): void {
    this.#released = true;
    clearTimeout(this.#timer);
  }
}

function wait(head: UntypedHead): void {
  head.wait();
}

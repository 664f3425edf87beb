import { randomFillSync } from "node:crypto";

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;

/** Random identifiers of traces and spans. One question to the system is good for hundreds. */
export class TraceIds {
  readonly #bytes = Buffer.alloc(8 * 1024);
  #at = this.#bytes.length;

  trace(): string {
    return this.#take(TRACE_BYTES);
  }

  span(): string {
    return this.#take(SPAN_BYTES);
  }

  #take(count: number): string {
    if (this.#at + count > this.#bytes.length) {
      randomFillSync(this.#bytes);
      this.#at = 0;
    }
    const id = this.#bytes.toString("hex", this.#at, this.#at + count);
    this.#at += count;
    return /[1-9a-f]/.test(id) ? id : this.#take(count); // nothing but zeros is no id
  }
}

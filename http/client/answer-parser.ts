import {
  AnswerError,
  type AnswerFields,
  type AnswerHead,
  checkBeginning,
  readAnswerHead,
  readFields,
} from "./answer-head.ts";
import { HeldBytes } from "./held-bytes.ts";

/** Who is told of an answer as it comes. */
export interface AnswerSink {
  /** An interim answer, or the beginning of the final one. */
  onHead(head: AnswerHead): void;
  /** @param piece to be copied unless it is used at once */
  onBody(piece: Buffer): void;
  /** The answer is whole. @param persistent whether the connection may serve another request */
  onEnd(trailers: AnswerFields, persistent: boolean): void;
}

const NO_FIELDS: AnswerFields = Object.freeze({});
/** Digits and extensions of one chunk. */
const MAX_CHUNK_LINE_BYTES = 1024;
const CHUNK_LINE = /^([0-9A-Fa-f]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const CHUNK_LINE_BEGINS = /^[0-9A-Fa-f]{1,13}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?$/;
const LINE_END = Buffer.from("\r\n");
const HEAD_END = Buffer.from("\r\n\r\n");
const CR = 0x0d;
const LF = 0x0a;

type State = "head" | "length" | "chunk line" | "chunk" | "chunk CR" | "chunk LF" | "trailers" | "until close" | "done";

/**
 * Cuts what comes from a server into one answer at a time, strictly: what two readers could understand in two ways is
 * refused.
 * @see RFC 9112
 */
export class AnswerParser {
  readonly #sink: AnswerSink;
  readonly #maxHeadBytes: number;
  readonly #held = new HeldBytes();
  #state: State = "done";
  /** Whether the request was one whose answer never has a body. */
  #headOnly = false;
  #persistent = false;
  /** Bytes to come of the body, or of the chunk. */
  #left = 0;
  #paused = false;
  #stopped = false;

  constructor(sink: AnswerSink, maxHeadBytes: number) {
    this.#sink = sink;
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** An answer is expected now. */
  begin(method: string): void {
    this.#state = "head";
    this.#headOnly = method === "HEAD";
    this.#paused = false;
  }

  /** Nothing more is told, whatever comes. */
  stop(): void {
    this.#stopped = true;
  }

  /** Nothing is told until {@link resume}; {@link feed} takes no more than it has told. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /**
   * @returns how much of it was taken: less than all while it is paused, and when there is something behind the answer
   * @throws {AnswerError}
   */
  feed(buffer: Buffer): number {
    let at = 0;
    while (at < buffer.length && !this.#paused && !this.#stopped && this.#state !== "done") {
      at = this.#step(buffer, at);
    }
    return at;
  }

  #step(buffer: Buffer, at: number): number {
    switch (this.#state) {
      case "head":
        return this.#head(buffer, at);
      case "length":
      case "chunk":
        return this.#body(buffer, at);
      case "chunk line":
        return this.#chunkLine(buffer, at);
      case "chunk CR":
      case "chunk LF":
        return this.#chunkEnd(buffer, at);
      case "trailers":
        return this.#trailers(buffer, at);
      default:
        this.#sink.onBody(buffer.subarray(at));
        return buffer.length;
    }
  }

  /** The connection has ended in order. @throws {AnswerError} when the answer has not */
  finish(): void {
    if (this.#state === "until close") this.#end(NO_FIELDS, false);
    else if (this.#state !== "done") throw new AnswerError("the answer breaks off");
  }

  #head(buffer: Buffer, at: number): number {
    const end = this.#held.find(buffer, at, HEAD_END);
    // The last line's own end belongs to it.
    const bytes = this.#held.length + (end < 0 ? buffer.length : end) - at;
    if (bytes > this.#maxHeadBytes) throw new AnswerError("the answer's head is too large", "ANSWER_HEAD_TOO_LARGE");
    if (end < 0) {
      this.#held.add(buffer, at);
      if (this.#held.isDue) checkBeginning(this.#held.text());
      return buffer.length;
    }
    const head = readAnswerHead(this.#held.take(buffer, at, end, 2));
    this.#begin(head);
    return end;
  }

  #begin(head: AnswerHead): void {
    const { status, framing, persistent } = head;
    if (status < 200) {
      if (!persistent) throw new AnswerError("an interim answer says that nothing follows it");
      // What it says of a body is about none.
      this.#state = status === 101 ? "done" : "head";
      this.#sink.onHead(head);
      return;
    }
    const bodiless = this.#headOnly || status === 204 || status === 304;
    // A server may send one all the same, which would be taken for the next answer.
    this.#persistent = persistent && (bodiless ? !this.#headOnly && announcesNoBody(head) : framing.kind !== "close");
    if (bodiless) {
      this.#state = "length";
      this.#left = 0;
    } else if (framing.kind === "length") {
      this.#state = "length";
      this.#left = framing.bytes;
    } else this.#state = framing.kind === "chunks" ? "chunk line" : "until close";
    const over = this.#state === "length" && this.#left === 0;
    this.#sink.onHead(head);
    if (over && !this.#stopped) this.#end(NO_FIELDS, this.#persistent);
  }

  #body(buffer: Buffer, at: number): number {
    const end = Math.min(buffer.length, at + this.#left);
    this.#left -= end - at;
    const ended = this.#left === 0;
    const inChunk = this.#state === "chunk";
    if (ended && inChunk) this.#state = "chunk CR";
    this.#sink.onBody(at === 0 && end === buffer.length ? buffer : buffer.subarray(at, end));
    if (ended && !inChunk && !this.#stopped) this.#end(NO_FIELDS, this.#persistent);
    return end;
  }

  #chunkLine(buffer: Buffer, at: number): number {
    const end = this.#held.find(buffer, at, LINE_END);
    if (this.#held.length + (end < 0 ? buffer.length : end) - at > MAX_CHUNK_LINE_BYTES) {
      throw new AnswerError("a chunk has a line that is too long");
    }
    if (end < 0) {
      this.#held.add(buffer, at);
      if (!CHUNK_LINE_BEGINS.test(this.#held.text())) {
        throw new AnswerError("a chunk has a length that is none");
      }
      return buffer.length;
    }
    const line = CHUNK_LINE.exec(this.#held.take(buffer, at, end, 2));
    if (!line) throw new AnswerError("a chunk has a length that is none");
    this.#left = Number.parseInt(line[1] as string, 16);
    this.#state = this.#left === 0 ? "trailers" : "chunk";
    return end;
  }

  /** One byte at a time: they need not come together. */
  #chunkEnd(buffer: Buffer, at: number): number {
    const first = this.#state === "chunk CR";
    if (buffer[at] !== (first ? CR : LF)) throw new AnswerError("a chunk is longer than it says");
    this.#state = first ? "chunk LF" : "chunk line";
    return at + 1;
  }

  #trailers(buffer: Buffer, at: number): number {
    if (this.#held.length === 0 && buffer[at] === CR && buffer[at + 1] === LF) {
      this.#end(NO_FIELDS, this.#persistent);
      return at + 2;
    }
    // They end as a head does, if the end of the last chunk's line is taken for theirs.
    if (this.#held.length === 0) this.#held.add(LINE_END, 0);
    const end = this.#held.find(buffer, at, HEAD_END);
    if (this.#held.length + (end < 0 ? buffer.length : end) - at > this.#maxHeadBytes) {
      throw new AnswerError("the answer's trailers are too large", "ANSWER_HEAD_TOO_LARGE");
    }
    if (end < 0) {
      this.#held.add(buffer, at);
      return buffer.length;
    }
    this.#end(readFields(this.#held.take(buffer, at, end, 2), 2), this.#persistent);
    return end;
  }

  #end(trailers: AnswerFields, persistent: boolean): void {
    this.#state = "done";
    this.#sink.onEnd(trailers, persistent);
  }
}

function announcesNoBody({ framing, fields }: AnswerHead): boolean {
  return framing.kind === "length" ? framing.bytes === 0 : fields["transfer-encoding"] === undefined;
}

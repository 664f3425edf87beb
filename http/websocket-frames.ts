/** Of a frame's length that does not fit into seven bits. */
const EXTENDED = new Map([
  [126, 2],
  [127, 8],
]);
const CLOSE = 0x8;
const MASKED = 0x80;

/** "Going away", as a server says to a client. @see RFC 6455 §7.4.1 */
export const GOING_AWAY = Buffer.from([0x80 | CLOSE, 2, 1001 >> 8, 1001 & 0xff]);

/**
 * Follows the frames that a server of WebSockets sends, to know whether one of one's own could come next.
 * @see RFC 6455 §5.2
 */
export class ServerFrames {
  /** Bytes to come of the payload. */
  #payload = 0;
  /** What has come of a frame's beginning that is not whole. */
  #head: number[] = [];
  #over = false;

  /** Whether another frame could follow: none has begun, and none has been the last. */
  get mayFollow(): boolean {
    return !this.#over && this.#payload === 0 && this.#head.length === 0;
  }

  /** All that is sent to the client has to pass here. */
  pass(piece: Buffer): void {
    let at = 0;
    while (at < piece.length && !this.#over) {
      if (this.#payload > 0) {
        const bytes = Math.min(this.#payload, piece.length - at);
        this.#payload -= bytes;
        at += bytes;
      } else this.#addToHead(piece[at++] as number);
    }
  }

  #addToHead(byte: number): void {
    this.#head.push(byte);
    const [first = 0, second = 0] = this.#head;
    if (this.#head.length < 2) return;
    // The last one, or none that a server sends: what comes then is not known.
    if ((first & 0x0f) === CLOSE || (second & MASKED) !== 0) {
      this.#over = true;
      return;
    }
    const extended = EXTENDED.get(second) ?? 0;
    if (this.#head.length < 2 + extended) return;
    this.#payload = extended === 0 ? second : this.#head.slice(2).reduce((length, next) => length * 256 + next, 0);
    this.#head = [];
  }
}

/**
 * Bytes of bodies that are passed on in one turn of the event loop, by all connections together. A connection that has
 * more is read on at once, as long as the kernel has some, so that without a limit hundreds of large bodies make turns
 * that last for a second, and each call waits for several of them.
 */
const TURN_BYTES = 4 * 1024 ** 2;

/** Of one body that has had to wait: to go on for a piece only would cost more than it is worth. */
const QUANTUM_BYTES = 512 * 1024;

/** Has bodies take turns: what finds its turn's bytes used up waits until the others have had theirs. */
class TurnShare {
  /** Counts turns in which somebody had to wait. */
  number = 0;
  #left = TURN_BYTES;
  #waiting: (() => void)[] = [];
  #scheduled = false;

  /** Counts what is passed on. @returns whether there was room for it in this turn */
  take(bytes: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= bytes;
    return true;
  }

  /** Calls `goOn` in a later turn, in the order of the calls, for {@link QUANTUM_BYTES}. */
  wait(goOn: () => void): void {
    this.#waiting.push(goOn);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    this.number++;
    this.#left = TURN_BYTES;
    let next = 0;
    for (; next < this.#waiting.length && this.#left > 0; next++) {
      this.#left -= QUANTUM_BYTES;
      this.#waiting[next]?.();
    }
    this.#waiting.splice(0, next);
    if (this.#waiting.length > 0) this.#schedule();
  };
}

/** That of this thread, which has one event loop. */
const turnShare = new TurnShare();

/** The turns of one body. */
export class BodyTurns {
  /** The turn in which it may go on after it had to wait, and for how many bytes. */
  #turn = 0;
  #left = 0;

  /** Whether `bytes` may be passed on now; otherwise `wait` for it. */
  take(bytes: number): boolean {
    if (this.#left > 0 && this.#turn === turnShare.number) {
      this.#left -= bytes;
      return true;
    }
    return turnShare.take(bytes);
  }

  /** Calls `goOn` when its turn has come. */
  wait(goOn: () => void): void {
    turnShare.wait(() => {
      this.#turn = turnShare.number;
      this.#left = QUANTUM_BYTES;
      goOn();
    });
  }
}

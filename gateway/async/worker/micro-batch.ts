interface Waiting {
  resume(): void;
}

/**
 * Lets what has come in one turn of the event loop go on together, at the end of that turn. What follows from it, messages
 * to a queue above all, then shares its writes.
 */
export class MicroBatch {
  #waiting: Waiting[] = [];

  add(waiting: Waiting): void {
    if (this.#waiting.push(waiting) === 1) setImmediate(() => this.#end());
  }

  #end(): void {
    for (const waiting of this.#waiting.splice(0)) waiting.resume();
  }
}

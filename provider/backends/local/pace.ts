import { sleep } from "../../../kit/sleep.ts";

/** Work at a time, in milliseconds: calls that come meanwhile wait for no longer. */
const WORK_MS = 4;
/** After it, others have the processor and the disk for so long. */
const REST_MS = 4;

/** Makes long work give way: between its steps it rests as long as it has worked. */
export class Pace {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** To be awaited between small steps. @throws the signal's reason once it has aborted */
  async step(): Promise<void> {
    this.#signal?.throwIfAborted();
    if (performance.now() - this.#since < WORK_MS) return;
    await sleep(REST_MS);
    this.#since = performance.now();
  }
}

import { emitMessages, type MessageEvent } from "./emit-messages.ts";
import type { SourceContext } from "./source.ts";

interface Waiting {
  readonly message: MessageEvent;
  readonly resolve: (isStored: boolean) => void;
  readonly reject: (error: unknown) => void;
}

const MOST = 100;
const MOST_BYTES = 4 * 1024 ** 2;

/** Emits what comes while the store is busy together afterwards, as a store takes many for little more than one. */
export class EmitTogether {
  readonly #context: Pick<SourceContext, "emit" | "warn">;
  readonly #waiting: Waiting[] = [];
  #isBusy = false;

  constructor(context: Pick<SourceContext, "emit" | "warn">) {
    this.#context = context;
  }

  /** As {@link emitMessages} with one: whether it is stored. */
  emit(message: MessageEvent): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, resolve, reject });
      if (this.#isBusy) return;
      this.#isBusy = true;
      // What has come in the same packet is handed over in the same turn of the event loop.
      setImmediate(() => this.#emptyOut());
    });
  }

  async #emptyOut(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#fitting());
      try {
        const stored = await emitMessages(
          this.#context,
          batch.map(({ message }) => message),
        );
        for (const [place, { resolve }] of batch.entries()) resolve(stored[place] ?? false);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isBusy = false;
  }

  #fitting(): number {
    let bytes = 0;
    for (const [place, { message }] of this.#waiting.slice(0, MOST).entries()) {
      bytes += message.event.data?.length ?? 0;
      if (bytes > MOST_BYTES) return Math.max(1, place);
    }
    return MOST;
  }
}

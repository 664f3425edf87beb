import type { Span } from "./span.ts";

/** What became of a request to export. */
export type SpanDelivery =
  /** @property rejected spans that the collector would not have */
  | { readonly kind: "taken"; readonly rejected: number }
  /** Another time it may go better. @property afterMs as the collector asks */
  | { readonly kind: "again"; readonly reason: string; readonly afterMs: number | undefined }
  | { readonly kind: "refused"; readonly reason: string };

export interface SpanExporterOptions {
  /** Sends spans. Never throws, and takes no longer than its own time limit, or than `signal` lets it. */
  readonly send: (spans: readonly Span[], signal: AbortSignal) => Promise<SpanDelivery>;
  /** Spans that wait, those of the batch under way included. */
  readonly maxQueue: number;
  readonly maxBatch: number;
  /** Spans wait for others for so long, in milliseconds. */
  readonly delayMs: number;
  /** Told when spans begin to be lost, with the reason, and when that is over. */
  readonly onTrouble: (reason: string) => void;
  readonly onRecovery: () => void;
  readonly random: () => number;
}

export type DropReason = "queue_full" | "refused" | "unreachable";

const MAX_TRIES = 5;
const MIN_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 30_000;
/** However long a collector asks for. */
const MAX_ASKED_MS = 60_000;

/**
 * Hands spans on in batches, one after the other. Nobody waits for it: what the collector is too slow for, or away for too
 * long, is lost and counted.
 */
export class SpanExporter {
  exported = 0;
  readonly dropped: Record<DropReason, number> = { queue_full: 0, refused: 0, unreachable: 0 };
  readonly #options: SpanExporterOptions;
  #queue: Span[] = [];
  /** Spans of the batch under way. */
  #sending = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #troubled = false;
  #closing = false;
  readonly #stop = new AbortController();
  /** Ends a pause. */
  #wake: (() => void) | undefined;

  constructor(options: SpanExporterOptions) {
    this.#options = options;
  }

  add(spans: readonly Span[]): void {
    const { maxQueue, maxBatch, delayMs } = this.#options;
    const room = this.#closing ? 0 : maxQueue - this.#queue.length - this.#sending;
    if (spans.length > room) {
      // A call's spans are of use together only.
      this.#lose("queue_full", spans.length, "more spans come than the collector takes");
      return;
    }
    for (const span of spans) this.#queue.push(span);
    if (this.#running) return;
    if (this.#queue.length >= maxBatch) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), delayMs).unref();
  }

  /** Sends what is there, for no longer than `withinMs`; the rest is lost. May be called twice. */
  async close(withinMs: number): Promise<void> {
    this.#closing = true;
    this.#wake?.();
    this.#begin();
    const late = setTimeout(() => this.#stop.abort(), withinMs);
    await this.#running;
    clearTimeout(late);
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined;
      if (this.#queue.length > 0 && !this.#closing) this.add([]);
    });
  }

  /** Sends as long as there is a whole batch, and what is there at first. */
  async #drain(): Promise<void> {
    const { maxBatch } = this.#options;
    do {
      const batch = this.#queue.splice(0, maxBatch);
      this.#sending = batch.length;
      if (batch.length > 0) await this.#deliver(batch);
      this.#sending = 0;
    } while (this.#queue.length >= (this.#closing ? 1 : maxBatch));
  }

  async #deliver(batch: readonly Span[]): Promise<void> {
    const { send } = this.#options;
    for (let tries = 1; ; tries++) {
      const delivery = this.#stop.signal.aborted
        ? { kind: "refused" as const, reason: "the process stops" }
        : await send(batch, this.#stop.signal);
      if (delivery.kind === "taken") {
        const rejected = Math.min(delivery.rejected, batch.length);
        this.exported += batch.length - rejected;
        if (rejected > 0) this.#lose("refused", rejected, "the collector has rejected spans");
        else this.#recover();
        return;
      }
      if (delivery.kind === "refused") {
        this.#lose("refused", batch.length, delivery.reason);
        return;
      }
      // Nobody waits for a second try at the end of the process.
      if (tries === MAX_TRIES || this.#closing) {
        this.#lose("unreachable", batch.length, delivery.reason);
        return;
      }
      this.#complain(delivery.reason);
      await this.#pause(this.#backoff(tries, delivery.afterMs));
    }
  }

  #backoff(tries: number, askedMs: number | undefined): number {
    const longest = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** (tries - 1));
    const own = longest * (0.5 + this.#options.random() / 2);
    return Math.max(own, Math.min(MAX_ASKED_MS, askedMs ?? 0));
  }

  async #pause(ms: number): Promise<void> {
    if (this.#closing) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #lose(why: DropReason, count: number, reason: string): void {
    this.dropped[why] += count;
    this.#complain(reason);
  }

  #complain(reason: string): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#options.onTrouble(reason);
  }

  #recover(): void {
    if (!this.#troubled) return;
    this.#troubled = false;
    this.#options.onRecovery();
  }
}

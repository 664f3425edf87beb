import type { CallHead, CallObserver, ObservedCall } from "../telemetry/call-record.ts";

export interface ThreadObserverOptions {
  /** Begins the records. */
  readonly watch: Pick<CallObserver, "watching" | "begin" | "upstreamHeaders">;
  /** Where the clock of the main thread begins, as of `performance.timeOrigin`. */
  readonly timeOrigin: number;
  /** Whether the main thread has a use for a call that has ended, and one for its headers. */
  readonly isWanted: (record: ObservedCall) => "whole" | "bare" | false;
  readonly post: (records: ObservedCall[]) => void;
}

/** Calls wait for others for so long, as each message costs both threads more than what is in it. */
const GATHER_MS = 50;
/** And no longer once there are so many. */
const GATHER_CALLS = 64;

/** Watches the calls of one thread for the main one, which writes down and exports what is told of them. */
export class ThreadObserver implements CallObserver {
  readonly #options: ThreadObserverOptions;
  readonly #ahead: number;
  #records: ObservedCall[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ThreadObserverOptions) {
    this.#options = options;
    this.#ahead = performance.timeOrigin - options.timeOrigin;
  }

  get watching(): boolean {
    return this.#options.watch.watching;
  }

  begin(head: CallHead): ObservedCall {
    return this.#options.watch.begin(head);
  }

  upstreamHeaders(record: ObservedCall, headers: string[]): string[] {
    return this.#options.watch.upstreamHeaders(record, headers);
  }

  end(record: ObservedCall): void {
    const wanted = this.#options.isWanted(record);
    if (wanted === false) return;
    const { arrivedAt, heldAt, sentAt, connectedAt, firstByteAt, endedAt = performance.now() } = record;
    this.#records.push({
      ...record,
      // To copy them for another thread costs more than all the rest.
      ...(wanted === "bare" && { requestHeaders: [], answerHeaders: undefined }),
      arrivedAt: arrivedAt + this.#ahead,
      heldAt: this.#shift(heldAt),
      sentAt: this.#shift(sentAt),
      connectedAt: this.#shift(connectedAt),
      firstByteAt: this.#shift(firstByteAt),
      endedAt: endedAt + this.#ahead,
    } as ObservedCall);
    if (this.#records.length >= GATHER_CALLS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  /** Hands on what has been gathered. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#records.length === 0) return;
    this.#options.post(this.#records);
    this.#records = [];
  }

  #shift(at: number | undefined): number | undefined {
    return at === undefined ? undefined : at + this.#ahead;
  }
}

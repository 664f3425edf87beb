import type { AccessLog } from "./access-log.ts";
import { type CallHead, type CallObserver, ObservedCall } from "./call-record.ts";
import { replaceContext } from "./trace-context.ts";
import type { Tracer } from "./tracer.ts";

/** Keeps calls for those who look, while somebody does. */
export interface CallKeeper {
  readonly on: boolean;
  add(record: ObservedCall): void;
  /** So many more have ended in other threads, by function, than are worth to be kept. */
  leaveOut(counts: ReadonlyMap<string, number>): void;
}

/** Writes down calls, traces and keeps them, as far as that is asked for. */
export class CallWatch implements CallObserver {
  readonly #accessLog: Pick<AccessLog, "add"> | undefined;
  readonly #tracer: Tracer | undefined;
  readonly #keeper: CallKeeper | undefined;

  constructor(accessLog: Pick<AccessLog, "add"> | undefined, tracer: Tracer | undefined, keeper?: CallKeeper) {
    this.#accessLog = accessLog;
    this.#tracer = tracer;
    this.#keeper = keeper;
  }

  get watching(): boolean {
    return this.#accessLog !== undefined || this.#tracer !== undefined || this.#keeper?.on === true;
  }

  leaveOut(counts: ReadonlyMap<string, number>): void {
    if (this.#keeper?.on) this.#keeper.leaveOut(counts);
  }

  begin(head: CallHead): ObservedCall {
    return new ObservedCall(head, this.#tracer?.beginCall(head.headers), performance.now());
  }

  upstreamHeaders({ kind, trace }: ObservedCall, headers: string[]): string[] {
    if (!trace) return headers;
    // What is accepted is linked to its acceptance; what a function does is part of its call.
    return replaceContext(
      headers,
      kind === "intake" || kind === "event" ? trace : { ...trace, spanId: trace.upstreamId },
    );
  }

  end(record: ObservedCall): void {
    record.endedAt ??= performance.now();
    this.#accessLog?.add(record);
    this.#tracer?.endCall(record);
    if (this.#keeper?.on) this.#keeper.add(record);
  }
}

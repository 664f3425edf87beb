import { qualifiedName } from "../../../contract/functions.ts";
import type { Logger } from "../../../kit/log.ts";
import type { FinishedBatch, QueuedCall } from "../../queue/queue.ts";
import { placeOf, type QueueWorkerEvents } from "../events.ts";
import type { ResponseHeaders } from "../function-caller.ts";
import { buildBatchHeaders, buildCallbackHeaders, type CallbackState } from "../headers.ts";
import { NO_RESULT, type StoredAnswer } from "../result.ts";
import { batchResults } from "./batch-results.ts";
import type { CallbackMessage, CallbackOutcome, CallbackSender } from "./sender.ts";

export interface CallbacksOptions {
  readonly sender: Pick<CallbackSender, "send">;
  /** Its functions go without namespace in `X-Function-Name`. */
  readonly defaultNamespace: string;
  readonly userAgent: string;
  readonly log: Pick<Logger, "warn" | "error">;
  readonly events: QueueWorkerEvents;
  readonly now: () => number;
}

/** What a callback tells of a call's last attempt. */
export interface LastAttempt {
  readonly state: CallbackState;
  readonly status: number;
  readonly durationMs: number;
  /** Retries so far and at most. */
  readonly retry: number;
  readonly retryMax: number;
  readonly headers: ResponseHeaders;
  readonly result: StoredAnswer;
}

/** Rounds of tries for the callback of one batch. */
const BATCH_ROUNDS = 3;
const MAX_REMEMBERED = 10_000;

/** Tells those who wait for results. */
export class Callbacks {
  readonly #options: CallbacksOptions;
  /** Failed rounds by batch. */
  readonly #rounds = new Map<string, number>();

  constructor(options: CallbacksOptions) {
    this.#options = options;
  }

  /** @returns why the callback could not be made; undefined when it was, or when nobody wants one */
  async tell(call: QueuedCall, last: LastAttempt, signal: AbortSignal): Promise<string | undefined> {
    if (call.callbackUrl === undefined) return undefined;
    const { headers, result, ...rest } = last;
    const { userAgent } = this.#options;
    const { callId, acceptedAt } = call;
    const facts = { ...rest, callId, acceptedAt, functionName: this.#nameOf(call), userAgent };
    const message = {
      headers: buildCallbackHeaders(headers, { ...facts, omitted: result.omitted }),
      body: result,
    };
    const outcome = await this.#send(call, call.callbackUrl, message, signal);
    return outcome.kind === "delivered" ? undefined : outcome.reason;
  }

  /** Says that the time of a call has passed: status 504 stands for the answer that it did not get. */
  async tellExpired(call: QueuedCall, retry: number, retryMax: number, signal: AbortSignal): Promise<void> {
    const waitedMs = this.#options.now() - call.acceptedAt;
    const last = { state: "expired", status: 504, durationMs: waitedMs, retry, retryMax } as const;
    await this.tell(call, { ...last, headers: {}, result: NO_RESULT }, signal);
  }

  /**
   * One callback for all calls of a batch.
   * @throws while it is worth another round later; the queue then asks again
   */
  async tellBatch(batch: FinishedBatch, signal: AbortSignal): Promise<void> {
    const { whole, progress } = batch;
    if (whole.callbackUrl === undefined) return;
    const headers = buildBatchHeaders({
      callId: whole.callId,
      batchId: whole.id,
      acceptedAt: whole.acceptedAt,
      functionName: this.#nameOf(whole),
      progress,
      durationMs: this.#options.now() - whole.acceptedAt,
      userAgent: this.#options.userAgent,
    });
    const message = { headers, body: { body: () => batchResults(batch) } };
    const outcome = await this.#send(whole, whole.callbackUrl, message, signal);
    const rounds = (this.#rounds.get(whole.id) ?? 0) + 1;
    this.#rounds.delete(whole.id);
    if (outcome.kind === "delivered") return;
    if (outcome.kind === "failed" && outcome.again && rounds < BATCH_ROUNDS) {
      if (this.#rounds.size >= MAX_REMEMBERED) this.#rounds.clear();
      this.#rounds.set(whole.id, rounds);
      throw new Error(`the callback of a batch failed: ${outcome.reason}`);
    }
    const { reason } = outcome;
    this.#options.log.error({ ...factsOf(whole), rounds, reason, progress }, "batch callback failed");
  }

  async #send(
    call: QueuedCall,
    callbackUrl: string,
    message: CallbackMessage,
    signal: AbortSignal,
  ): Promise<CallbackOutcome> {
    const { sender, events, log } = this.#options;
    const outcome = await sender.send(callbackUrl, message, signal);
    const { kind, tries } = outcome;
    events.calledBack?.({ ...placeOf(call), outcome: kind, tries });
    if (kind !== "delivered") {
      const { reason } = outcome;
      // Nothing but its origin: credentials stand before that, and paths of webhooks are secrets often.
      log.warn({ ...factsOf(call), target: originOf(callbackUrl), tries, reason }, "callback failed");
    }
    return outcome;
  }

  #nameOf({ function: name, namespace }: QueuedCall): string {
    return namespace === this.#options.defaultNamespace ? name : qualifiedName({ name, namespace });
  }
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

/** A call as logs name it: by the id that its caller and its function know. */
export function factsOf(call: QueuedCall): object {
  return { function: call.function, namespace: call.namespace, callId: call.callId };
}

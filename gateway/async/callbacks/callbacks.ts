import { qualifiedName } from "../../../contract/functions.ts";
import type { Logger } from "../../../kit/log.ts";
import { newsOf } from "../../queue/outcome.ts";
import type { CallbackEnd, CallbackNews, FinishedBatch, PendingCallback, QueuedCall } from "../../queue/queue.ts";
import { SPAN_KIND } from "../../telemetry/span.ts";
import { replaceContext } from "../../telemetry/trace-context.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import { placeOf, type QueueWorkerEvents } from "../events.ts";
import type { ResponseHeaders } from "../function-caller.ts";
import { buildBatchHeaders, buildCallbackHeaders, groupHeaders } from "../headers.ts";
import type { StoredAnswer } from "../result.ts";
import { contextOf } from "../traced-call.ts";
import { batchResults } from "./batch-results.ts";
import type { CallbackMessage, CallbackOutcome, CallbackSender, CallbackTry } from "./sender.ts";

export interface CallbacksOptions {
  readonly sender: Pick<CallbackSender, "send" | "tryOnce">;
  /** Its functions go without namespace in `X-Function-Name`. */
  readonly defaultNamespace: string;
  readonly userAgent: string;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  readonly events: QueueWorkerEvents;
  /** Absent unless callbacks are traced. */
  readonly tracer?: Tracer | undefined;
  readonly now: () => number;
}

/** An answer that the queue does not keep. */
export interface UnstoredAnswer {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly result: StoredAnswer;
}

/** Rounds of tries for the callback of one batch. */
const BATCH_ROUNDS = 3;

/** Tells those who wait for results. */
export class Callbacks {
  readonly #options: CallbacksOptions;

  constructor(options: CallbacksOptions) {
    this.#options = options;
  }

  /** Makes all tries, as only this process has the answer. @throws the reason of `signal` when that aborts */
  async tell(
    call: QueuedCall,
    news: CallbackNews,
    { status, headers, result }: UnstoredAnswer,
    signal: AbortSignal,
  ): Promise<CallbackEnd> {
    const message = { headers: this.#headersOf(call, news, status, headers, result.omitted), body: result };
    return endOf(news, await this.#send(call, news.url, message, signal));
  }

  /**
   * Makes one try.
   * @returns how the callback ended, or when it has to be tried again
   * @throws the reason of `signal` when that aborts
   */
  async tryOnce(
    call: QueuedCall,
    pending: PendingCallback,
    signal: AbortSignal,
  ): Promise<CallbackEnd | Extract<CallbackTry, { kind: "again" }>> {
    const { sender, now, log, events } = this.#options;
    const { url, outcome, tries, since } = pending;
    const { headers = [], body = NOTHING } = outcome.result ?? {};
    const stored = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const message = {
      headers: this.#headersOf(call, pending, outcome.status, groupHeaders(headers), undefined),
      body: { bytes: stored.byteLength, body: () => stored },
    };
    const before = { tries, elapsedMs: () => now() - since };
    const made = await this.#traced(call, message, (traced) => sender.tryOnce(url, traced, before, signal));
    if (made.kind !== "again") {
      this.#report(call, url, made);
      return endOf(pending, made);
    }
    events.callbackRetried?.(placeOf(call));
    const { reason, afterMs } = made;
    const facts = { ...factsOf(call), target: originOf(url), tries: made.tries, reason, afterMs };
    log.info(facts, "callback failed; it is tried again");
    return made;
  }

  #headersOf(
    call: QueuedCall,
    { state, retry, retryMax, durationMs }: CallbackNews,
    status: number,
    headers: ResponseHeaders,
    omitted: string | undefined,
  ): string[] {
    const { callId, acceptedAt } = call;
    const { userAgent } = this.#options;
    const functionName = this.#nameOf(call);
    const facts = { callId, acceptedAt, functionName, userAgent, state, status, durationMs, retry, retryMax, omitted };
    return buildCallbackHeaders(headers, facts);
  }

  /**
   * One callback for all calls of a batch.
   * @throws while it is worth another round later; the queue then asks again
   */
  async tellBatch(batch: FinishedBatch, signal: AbortSignal): Promise<void> {
    const { whole, progress, failures } = batch;
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
    const rounds = failures + 1;
    if (outcome.kind === "delivered") return;
    if (outcome.kind === "failed" && outcome.again && rounds < BATCH_ROUNDS) {
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
    const { sender } = this.#options;
    const outcome = await this.#traced(call, message, (traced) => sender.send(callbackUrl, traced, signal));
    this.#report(call, callbackUrl, outcome);
    return outcome;
  }

  /** Gives a callback a span, linked to the one that accepted its call. Its address is in none: that may be a secret. */
  async #traced<T extends CallbackTry>(
    call: QueuedCall,
    message: CallbackMessage,
    send: (message: CallbackMessage) => Promise<T>,
  ): Promise<T> {
    const { tracer } = this.#options;
    if (!tracer) return await send(message);
    const span = tracer.beginLinked(contextOf(call), "callback", SPAN_KIND.client);
    const facts = {
      "http.request.method": "POST",
      "faas.invocation_id": call.callId,
      "faas.name": qualifiedName({ name: call.function, namespace: call.namespace }),
      "messaging.message.id": call.id,
    };
    try {
      const made = await send({ ...message, headers: replaceContext(message.headers, span.context) });
      const { kind, tries } = made;
      const status = kind === "delivered" ? made.status : undefined;
      const failure = kind === "delivered" ? undefined : kind;
      const resent = tries > 1 ? tries - 1 : undefined;
      span.end(
        {
          ...facts,
          "http.response.status_code": status,
          "http.request.resend_count": resent,
          "error.type": failure,
          "faaslane.reason": kind === "delivered" ? undefined : made.reason,
        },
        kind !== "delivered",
      );
      return made;
    } catch (error) {
      span.end({ ...facts, "error.type": "cancelled" }, false);
      throw error;
    }
  }

  #report(call: QueuedCall, callbackUrl: string, outcome: CallbackOutcome): void {
    const { events, log } = this.#options;
    const { kind, tries } = outcome;
    events.calledBack?.({ ...placeOf(call), outcome: kind, tries });
    if (kind === "delivered") return;
    const { reason } = outcome;
    // Nothing but its origin: credentials stand before that, and paths of webhooks are secrets often.
    log.warn({ ...factsOf(call), target: originOf(callbackUrl), tries, reason }, "callback failed");
  }

  #nameOf({ function: name, namespace }: QueuedCall): string {
    return namespace === this.#options.defaultNamespace ? name : qualifiedName({ name, namespace });
  }
}

const NOTHING = new Uint8Array();

function endOf(news: CallbackNews, outcome: CallbackOutcome): CallbackEnd {
  const { tries } = outcome;
  if (outcome.kind === "delivered") return { ...newsOf(news), tries, delivered: true };
  return { ...newsOf(news), tries, delivered: false, failure: outcome.reason };
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

/** A call as logs name it: by the id that its caller and its function know. */
export function factsOf(call: QueuedCall): object {
  return { function: call.function, namespace: call.namespace, callId: call.callId };
}

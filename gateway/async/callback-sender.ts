import { setTimeout as delay } from "node:timers/promises";
import { Agent, request } from "undici";
import { splitCallbackUrl } from "../core/callback-url.ts";
import { fullJitterBackoff, parseRetryAfter } from "../core/retry-policy.ts";
import { Deadline } from "./deadline.ts";
import type { ResponseHeaders } from "./gateway-caller.ts";
import { buildCallbackHeaders, type CallbackFacts } from "./headers.ts";
import type { Result } from "./result.ts";

export interface CallbackRetry {
  /** Tries in all. */
  readonly tries: number;
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
  /** No further try starts this long after the first. */
  readonly deadlineMs: number;
}

export interface CallbackSenderOptions {
  /** Of one try. */
  readonly timeoutMs: number;
  readonly retry: CallbackRetry;
  readonly now: () => number;
  readonly random: () => number;
}

export type CallbackOutcome =
  | { readonly kind: "delivered"; readonly tries: number; readonly status: number }
  /** `reason` holds no part of the URL: that may carry secrets. */
  | { readonly kind: "failed"; readonly tries: number; readonly reason: string };

type Try =
  | { readonly kind: "delivered"; readonly status: number }
  | { readonly kind: "failed"; readonly reason: string; readonly again: boolean; readonly retryAfter?: string };

const MAX_ANSWER_BYTES = 64 * 1024;

/** Posts results to callback URLs. A callback is tried several times by itself; the function never runs again for it. */
export class CallbackSender {
  readonly #options: CallbackSenderOptions;
  readonly #agent: Agent;

  constructor(options: CallbackSenderOptions) {
    this.#options = options;
    const { timeoutMs } = options;
    this.#agent = new Agent({ connect: { timeout: timeoutMs }, headersTimeout: 0, bodyTimeout: 0 });
  }

  /** @throws the reason of `signal` when that aborts */
  async send(
    callbackUrl: string,
    response: { readonly headers: ResponseHeaders; readonly result: Result },
    facts: Omit<CallbackFacts, "resultBytes" | "omitted" | "authorization">,
    signal: AbortSignal,
  ): Promise<CallbackOutcome> {
    const { retry, now, random } = this.#options;
    let target: ReturnType<typeof splitCallbackUrl>;
    try {
      target = splitCallbackUrl(callbackUrl);
    } catch (error) {
      return { kind: "failed", tries: 0, reason: (error as Error).message };
    }
    const { result } = response;
    const { authorization } = target;
    const whole = { ...facts, resultBytes: result.bytes, omitted: result.omitted, authorization };
    const headers = buildCallbackHeaders(response.headers, whole);
    const start = now();
    for (let tries = 1; ; tries++) {
      const outcome = await this.#try(target.url, headers, result, signal);
      if (outcome.kind === "delivered") return { ...outcome, tries };
      const waitMs = Math.max(
        fullJitterBackoff(tries, retry.minWaitMs, retry.maxWaitMs, random()),
        Math.min(retry.maxWaitMs, parseRetryAfter(outcome.retryAfter, now()) ?? 0),
      );
      if (!outcome.again || tries >= retry.tries || now() + waitMs - start > retry.deadlineMs) {
        return { kind: "failed", tries, reason: outcome.reason };
      }
      await delay(waitMs, undefined, { signal });
    }
  }

  async #try(url: URL, headers: string[], result: Result, signal: AbortSignal): Promise<Try> {
    const deadline = new Deadline(signal, this.#options.timeoutMs);
    try {
      const answer = await request(url, {
        method: "POST",
        headers,
        body: result.body(),
        signal: deadline.signal,
        dispatcher: this.#agent,
      });
      // The status is the answer; what follows it only keeps the connection usable.
      await answer.body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => undefined);
      return judge(answer.statusCode, answer.headers["retry-after"]);
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.expired) return { kind: "failed", reason: "no answer in time", again: true };
      const { code, message } = error as NodeJS.ErrnoException;
      return { kind: "failed", reason: code ?? message, again: code !== "UND_ERR_INVALID_ARG" };
    } finally {
      deadline.clear();
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function judge(status: number, retryAfter: string | string[] | undefined): Try {
  if (status >= 200 && status < 300) return { kind: "delivered", status };
  const again = status >= 500 || status === 408 || status === 429;
  return {
    kind: "failed",
    reason: `status ${status}`,
    again,
    ...(typeof retryAfter === "string" ? { retryAfter } : {}),
  };
}

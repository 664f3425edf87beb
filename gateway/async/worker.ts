import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { qualifiedName } from "../../provider/contract/functions.ts";
import { DEFAULT_NAMESPACE } from "../../provider/contract/paths.ts";
import type { Logger } from "../../provider/kit/log.ts";
import { decideRetry, fullJitterBackoff, type RetryDecision, type RetryPolicy } from "../core/retry-policy.ts";
import type { Disposition, Queue, QueuedCall } from "../queue/queue.ts";
import { type CallbackRetry, CallbackSender } from "./callback-sender.ts";
import { type Answer, GatewayCaller } from "./gateway-caller.ts";
import { type AnnotationsOf, Policies } from "./policies.ts";

type Answered = Extract<Answer, { kind: "answered" }>;

/** Told what happens, for metrics. */
export interface QueueWorkerEvents {
  /** An attempt has ended; `decision` says what follows. */
  attempted?(attempt: {
    readonly function: string;
    readonly namespace: string;
    readonly status: number;
    readonly durationMs: number;
    readonly decision: RetryDecision;
  }): void;
  calledBack?(callback: {
    readonly function: string;
    readonly namespace: string;
    readonly delivered: boolean;
    readonly tries: number;
  }): void;
}

export interface QueueWorkerOptions {
  readonly queue: Pick<Queue, "consume">;
  /** Base of the gateway, below which `/function/` lies. */
  readonly gatewayUrl: URL;
  /** Of this program, for `User-Agent`. */
  readonly release: string;
  /** Where each function's retry policy is read; what it does not know is tried with the defaults. */
  readonly policyFor: AnnotationsOf;
  readonly defaults: RetryPolicy;
  readonly concurrency: number;
  readonly perFunction: number;
  /** Longest call, from sending it to the end of the response, in milliseconds. Longer than the gateway's own limits. */
  readonly callTimeoutMs: number;
  /** Longest wait for a callback's answer, in milliseconds. */
  readonly callbackTimeoutMs: number;
  /** Default: 5 tries within two minutes, 0.5 s to 15 s apart. */
  readonly callbackRetry?: CallbackRetry;
  /** Its functions go without namespace in `X-Function-Name`. Default `openfaas-fn`. */
  readonly defaultNamespace?: string;
  /** Largest result sent to a callback; of a larger one only the news. Default 100 MiB. */
  readonly maxResultBytes?: number;
  /** For results too large for memory (256 KiB). Default: the system's temporary folder. */
  readonly spoolFolder?: string;
  /** Wait between tries to reach the gateway: its shortest and longest. Default 0.1 s and 5 s. */
  readonly unreachableWaitMs?: readonly [min: number, max: number];
  readonly log: Pick<Logger, "debug" | "info" | "warn" | "error">;
  readonly events?: QueueWorkerEvents;
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface QueueWorker {
  /** Takes no more calls, waits up to `drainTimeoutMs` for those under way, hands back the rest. May be called twice. */
  close(drainTimeoutMs: number): Promise<void>;
}

const CALLBACK_RETRY: CallbackRetry = { tries: 5, minWaitMs: 500, maxWaitMs: 15_000, deadlineMs: 120_000 };
const MEMORY_BYTES = 256 * 1024;
const MAX_RESULT_BYTES = 100 * 1024 ** 2;
const UNREACHABLE_WAIT_MS = [100, 5000] as const;

/** Starts to drain `queue`: each call goes through the gateway, its result to the callback URL if it has one. */
export async function startQueueWorker(options: QueueWorkerOptions): Promise<QueueWorker> {
  const worker = new Worker(options);
  const { concurrency, perFunction } = options;
  const consumer = await options.queue.consume((call, attempt, signal) => worker.deliver(call, attempt, signal), {
    concurrency,
    perFunction,
  });
  let closing: Promise<void> | undefined;
  const close = async (drainTimeoutMs: number) => {
    await consumer.close(drainTimeoutMs);
    await worker.close();
  };
  return {
    close: (drainTimeoutMs) => {
      closing ??= close(drainTimeoutMs);
      return closing;
    },
  };
}

class Worker {
  readonly #options: QueueWorkerOptions;
  readonly #policies: Policies;
  readonly #gateway: GatewayCaller;
  readonly #callbacks: CallbackSender;
  readonly #userAgent: string;
  readonly #now: () => number;
  readonly #random: () => number;
  #unreachable = false;

  constructor(options: QueueWorkerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
    this.#userAgent = `faaslane-queue-worker/${options.release}`;
    this.#policies = new Policies(options.policyFor, options.defaults, (functionName, namespace, problems) =>
      options.log.warn({ function: functionName, namespace, problems }, "invalid retry annotations; defaults apply"),
    );
    this.#gateway = new GatewayCaller({
      gatewayUrl: options.gatewayUrl,
      connections: options.concurrency,
      timeoutMs: options.callTimeoutMs,
      userAgent: this.#userAgent,
      limits: {
        memoryBytes: MEMORY_BYTES,
        maxBytes: options.maxResultBytes ?? MAX_RESULT_BYTES,
        folder: options.spoolFolder ?? tmpdir(),
      },
    });
    this.#callbacks = new CallbackSender({
      timeoutMs: options.callbackTimeoutMs,
      retry: options.callbackRetry ?? CALLBACK_RETRY,
      now: this.#now,
      random: this.#random,
    });
  }

  async deliver(call: QueuedCall, attempt: number, signal: AbortSignal): Promise<Disposition> {
    const start = this.#now();
    const answer = await this.#call(call, signal);
    if (answer.kind === "unsendable") return this.#dead(call, attempt, `the call cannot be sent: ${answer.reason}`);
    try {
      return await this.#conclude(call, attempt, answer, this.#now() - start, signal);
    } finally {
      await answer.result.discard();
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#gateway.close(), this.#callbacks.close()]);
  }

  /** Waits as long as it takes for the gateway to be there and the function to have a place. */
  async #call(call: QueuedCall, signal: AbortSignal): Promise<Exclude<Answer, { kind: "unreachable" }>> {
    const [minWaitMs, maxWaitMs] = this.#options.unreachableWaitMs ?? UNREACHABLE_WAIT_MS;
    for (let tries = 1; ; tries++) {
      const answer = await this.#gateway.call(call, call.callbackUrl !== undefined, signal);
      if (answer.kind === "answered" && answer.status === 429 && answer.internal) {
        // Refused by the platform before the function saw it: its limit is reached, which says nothing about the call.
        await answer.result.discard();
        await delay(minWaitMs + fullJitterBackoff(tries, minWaitMs, maxWaitMs, this.#random()), undefined, { signal });
        continue;
      }
      if (answer.kind !== "unreachable") {
        if (this.#unreachable) this.#options.log.info({}, "the gateway can be reached again");
        this.#unreachable = false;
        return answer;
      }
      if (!this.#unreachable)
        this.#options.log.warn({ err: answer.error }, "the gateway cannot be reached; calls wait");
      this.#unreachable = true;
      await delay(minWaitMs + fullJitterBackoff(tries, minWaitMs, maxWaitMs, this.#random()), undefined, { signal });
    }
  }

  async #conclude(
    call: QueuedCall,
    attempt: number,
    answer: Answered,
    durationMs: number,
    signal: AbortSignal,
  ): Promise<Disposition> {
    const { policy, known } = this.#policies.find(call.function, call.namespace);
    const { status, internal, headers } = answer;
    const now = this.#now();
    const retryAfter = [headers["retry-after"]].flat()[0];
    const decision = decideRetry({ status, internal, known, retryAfter, attempt, now, random: this.#random() }, policy);
    const { function: functionName, namespace } = call;
    this.#options.events?.attempted?.({ function: functionName, namespace, status, durationMs, decision });
    this.#options.log.debug({ ...factsOf(call, attempt), status, durationMs, decision }, "attempt ended");
    if (decision.kind === "retry") return { kind: "retry", afterMs: decision.afterMs };

    const missed = await this.#callBack(call, attempt, answer, durationMs, policy, signal);
    if (decision.kind === "dead") return this.#dead(call, attempt, decision.reason);
    return missed === undefined ? { kind: "done" } : this.#dead(call, attempt, `the callback failed: ${missed}`);
  }

  /** @returns why the callback could not be made, undefined when it was or there is none to make */
  async #callBack(
    call: QueuedCall,
    attempt: number,
    answer: Answered,
    durationMs: number,
    policy: RetryPolicy,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (call.callbackUrl === undefined) return undefined;
    const { function: name, namespace } = call;
    const facts = {
      callId: call.callId,
      functionName:
        namespace === (this.#options.defaultNamespace ?? DEFAULT_NAMESPACE) ? name : qualifiedName({ name, namespace }),
      status: answer.status,
      durationMs,
      retry: attempt - 1,
      retryMax: policy.attempts,
      userAgent: this.#userAgent,
    };
    const outcome = await this.#callbacks.send(call.callbackUrl, answer, facts, signal);
    const delivered = outcome.kind === "delivered";
    this.#options.events?.calledBack?.({ function: name, namespace, delivered, tries: outcome.tries });
    if (delivered) return undefined;
    const { tries, reason } = outcome;
    this.#options.log.warn({ ...factsOf(call, attempt), tries, reason }, "a callback failed");
    return reason;
  }

  #dead(call: QueuedCall, attempt: number, reason: string): Disposition {
    this.#options.log.warn({ ...factsOf(call, attempt), reason }, "a call is dead");
    return { kind: "dead", reason };
  }
}

function factsOf(call: QueuedCall, attempt: number): object {
  return { function: call.function, namespace: call.namespace, callId: call.callId, attempt };
}

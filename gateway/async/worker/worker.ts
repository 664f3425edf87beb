import { tmpdir } from "node:os";
import { DEFAULT_NAMESPACE } from "../../../contract/paths.ts";
import type { Logger } from "../../../kit/log.ts";
import type { Lookup } from "../../../kit/outbound/connector.ts";
import { ANY_TARGET, CallbackTargets } from "../../../kit/outbound/targets.ts";
import type { RetryPolicy } from "../../core/retry-policy.ts";
import type { Consumer, Queue } from "../../queue/queue.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import { Callbacks } from "../callbacks/callbacks.ts";
import { type CallbackRetry, CallbackSender } from "../callbacks/sender.ts";
import type { CallbackSigner } from "../callbacks/signer.ts";
import type { QueueWorkerEvents } from "../events.ts";
import { type FunctionCaller, workerAgent } from "../function-caller.ts";
import { CallDelivery } from "./delivery.ts";
import { DeliveryLimits } from "./function-limits.ts";
import type { FunctionSnapshots } from "./function-snapshots.ts";
import { Policies } from "./policies.ts";

export interface QueueWorkerOptions {
  readonly queue: Pick<Queue, "consume" | "publish" | "maxResultBytes">;
  /** Queues to take from; default all. */
  readonly queues?: readonly string[];
  /** Makes the calls. Its owner closes it after the worker. */
  readonly caller: Pick<FunctionCaller, "call">;
  /** Of this program, for `User-Agent`. */
  readonly release: string;
  /** Where retry policies and limits are read; calls of a function that it does not know are tried with the defaults. */
  readonly functions: FunctionSnapshots;
  readonly defaults: RetryPolicy;
  /** Calls under way at a time in this process, beside those that only wait for a replica or for their callback. */
  readonly concurrency: number;
  /** Calls at a time per replica of a function without `max_inflight`. */
  readonly perFunction: number;
  /** Longest wait for a callback's answer, in milliseconds. */
  readonly callbackTimeoutMs: number;
  /** Default: 5 tries within two minutes, 0.5 s to 15 s apart. */
  readonly callbackRetry?: CallbackRetry;
  /** Default: callbacks may go anywhere. */
  readonly targets?: CallbackTargets;
  /** Absent when callbacks are not signed. */
  readonly signer?: CallbackSigner;
  /** Of callback hosts. Default: the system's. */
  readonly lookup?: Lookup;
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
  /** Absent unless callbacks are traced; tries are by a caller that traces them. */
  readonly tracer?: Tracer | undefined;
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface CallWorker {
  /** Takes no more calls, waits up to `drainTimeoutMs` for those under way, hands back the rest. May be called twice. */
  close(drainTimeoutMs: number): Promise<void>;
}

const CALLBACK_RETRY: CallbackRetry = { tries: 5, minWaitMs: 500, maxWaitMs: 15_000, deadlineMs: 120_000 };
const MEMORY_BYTES = 256 * 1024;
const MAX_RESULT_BYTES = 100 * 1024 ** 2;
const UNREACHABLE_WAIT_MS = [100, 5000] as const;

/** Starts to drain `queue`: each call goes through `caller`, its result to the callback URL if it has one. */
export async function startQueueWorker(options: QueueWorkerOptions): Promise<CallWorker> {
  const { queue, functions, log, events = {}, now = Date.now, random = Math.random } = options;
  const { concurrency, perFunction } = options;
  const clock = () => performance.now();
  const userAgent = workerAgent(options.release);
  const stopping = new AbortController();
  let consumer: Consumer | undefined;

  const sender = new CallbackSender({
    timeoutMs: options.callbackTimeoutMs,
    retry: options.callbackRetry ?? CALLBACK_RETRY,
    targets: options.targets ?? new CallbackTargets(ANY_TARGET),
    signer: options.signer,
    lookup: options.lookup,
    now,
    random,
  });
  const callbacks = new Callbacks({
    sender,
    defaultNamespace: options.defaultNamespace ?? DEFAULT_NAMESPACE,
    userAgent,
    log,
    events,
    tracer: options.tracer,
    now,
  });
  const changed = (ref: Parameters<Consumer["limitChanged"]>[0]) => consumer?.limitChanged(ref);
  const limits = new DeliveryLimits({ functions, perFunction, changed, clock, random });
  const delivery = new CallDelivery({
    queue,
    caller: options.caller,
    callbacks,
    functions,
    limits,
    policies: new Policies(functions, options.defaults, ({ name, namespace }, problems) =>
      log.warn({ function: name, namespace, problems }, "invalid retry annotations; defaults apply"),
    ),
    resultLimits: {
      memoryBytes: MEMORY_BYTES,
      maxBytes: options.maxResultBytes ?? MAX_RESULT_BYTES,
      folder: options.spoolFolder ?? tmpdir(),
    },
    unreachableWaitMs: options.unreachableWaitMs ?? UNREACHABLE_WAIT_MS,
    log,
    events,
    now,
    clock,
    random,
  });

  const closeParts = async () => {
    stopping.abort(new Error("the queue worker is stopping"));
    limits.close();
    await sender.close();
  };
  try {
    consumer = await queue.consume((...given) => delivery.deliver(...given), {
      concurrency,
      limitOf: (ref) => limits.limitOf(ref),
      finishBatch: (batch) => callbacks.tellBatch(batch, stopping.signal),
      ...(options.queues && { queues: options.queues }),
    });
  } catch (error) {
    await closeParts();
    throw error;
  }
  const close = async (opened: Consumer, drainTimeoutMs: number) => {
    // Callbacks of batches have no place among the calls, so they are given the same time here.
    const late = setTimeout(() => stopping.abort(new Error("the queue worker is stopping")), drainTimeoutMs);
    await opened.close(drainTimeoutMs);
    clearTimeout(late);
    await closeParts();
  };
  let closing: Promise<void> | undefined;
  return {
    close: (drainTimeoutMs) => {
      closing ??= close(consumer as Consumer, drainTimeoutMs);
      return closing;
    },
  };
}

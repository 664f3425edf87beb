import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { answerTimeoutMs } from "../../contract/timeouts.ts";
import type { Logger } from "../../kit/log.ts";
import type { Backend } from "../backends/backend.ts";

/** How a function can be called. */
export interface Callable {
  /** `host:port` of every replica that is ready. */
  readonly addresses: readonly string[];
  /** Longest wait for the head of its answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** Which replicas can be called, as the backend last told. */
export interface EndpointSnapshot {
  /** Undefined for functions that do not exist. */
  find(ref: FunctionRef): Promise<Callable | undefined>;
}

/**
 * A snapshot that starts to watch at its first use, since a gateway of ours never asks for it, and again after a failure.
 * @param timeoutMs longest wait for functions that do not say how long they may take
 * @param closing ends it
 */
export function openEndpointSnapshot(
  backend: Pick<Backend, "watch">,
  timeoutMs: number,
  log: Logger,
  closing: AbortSignal,
): EndpointSnapshot {
  let current: Promise<ReadonlyMap<string, Callable>> | undefined;

  const watch = () => {
    const functions = new Map<string, Callable>();
    const { promise: whole, resolve, reject } = Promise.withResolvers<typeof functions>();
    const follow = async () => {
      for await (const event of backend.watch(closing)) {
        if (event.type === "heartbeat") resolve(functions);
        else if (event.type === "removed") functions.delete(qualifiedName(event.function));
        else functions.set(qualifiedName(event.function), callable(event.function, timeoutMs));
      }
      throw new Error("the backend's watch ended");
    };
    follow().catch((err: unknown) => {
      if (current === whole) current = undefined;
      reject(err);
      if (!closing.aborted) log.warn({ err }, "endpoints lost; watching again at the next call");
    });
    return whole;
  };

  return {
    async find(ref) {
      current ??= watch();
      return (await current).get(qualifiedName(ref));
    },
  };
}

function callable(snapshot: FunctionEndpoints, timeoutMs: number): Callable {
  const ready = snapshot.endpoints.filter(({ state }) => state === "ready");
  return { addresses: ready.map(({ address }) => address), timeoutMs: answerTimeoutMs(snapshot, { timeoutMs }) };
}

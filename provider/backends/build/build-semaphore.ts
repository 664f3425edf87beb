import { FaasError } from "../../../contract/errors.ts";

/** A place in the queue, and then among those that run. */
export interface BuildPermit {
  /** Whether it is this one's turn. */
  readonly ready: boolean;
  /** Waits for the turn. @throws the signal's reason when it aborts first */
  acquired(signal: AbortSignal): Promise<void>;
  /** Gives the place up, wherever it is. May be called twice. */
  release(): void;
}

/** Lets so many run at a time, first come first served. */
export interface BuildSemaphore {
  /** @throws {FaasError} `overloaded` when too many wait already */
  request(): BuildPermit;
}

export function createBuildSemaphore(concurrency: number, maxWaiting: number): BuildSemaphore {
  const running = new Set<object>();
  const waiting = new Map<object, () => void>();

  const admitNext = () => {
    const [next] = waiting;
    if (!next || running.size >= concurrency) return;
    const [key, admitted] = next;
    waiting.delete(key);
    running.add(key);
    admitted();
  };

  return {
    request() {
      if (running.size >= concurrency && waiting.size >= maxWaiting) {
        throw new FaasError("overloaded", "build: too many builds are waiting, try again later");
      }
      const key = {};
      const { promise: admitted, resolve: admit } = Promise.withResolvers<void>();
      waiting.set(key, admit);
      admitNext();
      return {
        get ready() {
          return running.has(key);
        },
        async acquired(signal) {
          const { promise: aborted, reject } = Promise.withResolvers<never>();
          const onAbort = () => reject(signal.reason);
          signal.addEventListener("abort", onAbort, { once: true });
          try {
            signal.throwIfAborted();
            await Promise.race([admitted, aborted]);
          } finally {
            signal.removeEventListener("abort", onAbort);
          }
        },
        release() {
          waiting.delete(key);
          if (running.delete(key)) admitNext();
        },
      };
    },
  };
}

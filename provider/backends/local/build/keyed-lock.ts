/** Lets one holder per key at a time. */
export interface KeyedLock {
  /**
   * Waits for the key, in no particular order.
   * @returns a function that gives it back
   * @throws the signal's reason when it aborts first
   */
  acquire(key: string, signal: AbortSignal): Promise<() => void>;
}

export function createKeyedLock(): KeyedLock {
  const held = new Map<string, Promise<void>>();
  return {
    async acquire(key, signal) {
      for (let holder = held.get(key); holder; holder = held.get(key)) await untilAborted(holder, signal);
      signal.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      held.set(key, promise);
      return () => {
        if (held.get(key) === promise) held.delete(key);
        resolve();
      };
    },
  };
}

async function untilAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    await Promise.race([wait, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

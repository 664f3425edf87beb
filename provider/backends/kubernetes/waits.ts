import { FaasError } from "../../../contract/errors.ts";

/** Resolves when `wait` does, or `signal` aborts. @throws what `wait` throws */
export async function untilAborted(wait: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const onAbort = () => aborted.resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await Promise.race([wait, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** @throws {FaasError} `unavailable` when `wait` takes longer, or `signal` aborts first */
export async function withDeadline(wait: Promise<unknown>, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const done = wait.then(() => true);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const stop = AbortSignal.any([signal, late.signal]);
    await untilAborted(done, stop);
    if (stop.aborted) throw new FaasError("unavailable", "the Kubernetes API has not been reached yet");
  } finally {
    clearTimeout(timer);
  }
}

/** A try took too long. */
export class TryTimeout extends Error {
  override readonly name = "TryTimeout";
}

/** Runs one try, whose signal aborts with that of the delivery, or with {@link TryTimeout}. */
export async function withTryDeadline<T>(
  timeoutMs: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const cut = new AbortController();
  const leave = () => cut.abort(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  const timer = setTimeout(() => cut.abort(new TryTimeout(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await run(cut.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
  }
}

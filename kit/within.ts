/**
 * What `work` gives, or undefined once it takes longer than `timeoutMs`. No timer is left behind, which would keep the
 * process.
 * @throws what `work` throws in this time
 */
export async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, timeoutMs, undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits until `check` returns something else than undefined, false or null, looking again every few milliseconds,
 * or as often as `intervalMs` says where looking is dear.
 * @throws at the deadline, with what `check` threw last if it did
 */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  deadlineMs = 10_000,
  intervalMs = 5,
): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = Date.now() + deadlineMs;
  let cause: unknown;
  do {
    try {
      const value = await check();
      if (value !== undefined && value !== null && value !== false) return value as Exclude<NonNullable<T>, false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  } while (Date.now() < deadline);
  throw new Error(`did not happen within ${deadlineMs} ms: ${what}`, { cause });
}

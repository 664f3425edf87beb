import { FaasError } from "../../contract/errors.ts";
import { within } from "../../kit/within.ts";

/** Longest wait for the store, unless somebody says otherwise. */
const STORE_TIMEOUT_MS = 15_000;

/**
 * What comes of `work`, if it comes in time.
 * @param otherwise what is said when it does not
 * @throws {FaasError} `unavailable` then
 */
export async function storeInTime<T>(
  work: Promise<T>,
  timeoutMs = STORE_TIMEOUT_MS,
  otherwise = "the events' store does not answer",
): Promise<T> {
  // A box, as what comes of it may be undefined.
  const done = await within(
    timeoutMs,
    work.then((value) => ({ value })),
  );
  if (!done) throw new FaasError("unavailable", otherwise, { code: "events_unavailable" });
  return done.value;
}

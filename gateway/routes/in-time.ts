import { FaasError } from "../../contract/errors.ts";

/**
 * What `work` gives, unless the queue takes too long: callers must not hang on one that is away.
 * @throws {FaasError} `unavailable` after `timeoutMs`; `work` goes on then, its outcome unknown to the caller
 */
export async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let alarm: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    alarm = setTimeout(
      () => reject(new FaasError("unavailable", "the queue does not answer", { code: "queue_unavailable" })),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(alarm);
  }
}

import { type ErrorKind, FaasError } from "../../contract/errors.ts";
import type { SourceContext, SourceEvent } from "./source.ts";

/** An event of a message, and how a person finds the message. */
export interface MessageEvent extends SourceEvent {
  /** E.g. `orders/0/42`. */
  readonly from: string;
}

/** What no later try will change. */
const FOR_EVER: readonly ErrorKind[] = ["invalid", "unprocessable", "tooLarge"];

export function isRefusedForEver(thrown: unknown): boolean {
  return thrown instanceof FaasError && FOR_EVER.includes(thrown.kind);
}

/**
 * Emits messages. One that will never be stored, as it is too large, is told as a warning, and keeps nobody back.
 * @returns of each whether it is stored
 * @throws what may be over later; none of them counts as stored then
 */
export async function emitMessages(
  context: Pick<SourceContext, "emit" | "warn">,
  messages: readonly MessageEvent[],
): Promise<boolean[]> {
  if (messages.length === 0) return [];
  try {
    await context.emit(messages);
    return messages.map(() => true);
  } catch (error) {
    if (!isRefusedForEver(error)) throw error;
    if (messages.length === 1) {
      context.warn(refusal(messages[0] as MessageEvent, error as FaasError));
      return [false];
    }
  }
  const half = messages.length >> 1;
  return [
    ...(await emitMessages(context, messages.slice(0, half))),
    ...(await emitMessages(context, messages.slice(half))),
  ];
}

function refusal({ from }: MessageEvent, error: FaasError): FaasError {
  return new FaasError(error.kind, `${from.slice(0, 200)} is not taken: ${error.message}`, { cause: error });
}

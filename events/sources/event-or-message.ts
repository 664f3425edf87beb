import type { CloudEvent } from "../codec/cloud-event.ts";
import { eventOfMessage, type PlainMessage } from "./plain-message.ts";

/** An event, and what was wrong with one that was meant to be one and is now a message like others. */
export interface DecodedMessage {
  readonly event: CloudEvent;
  readonly problem?: unknown;
}

/**
 * A message that is an event passes as it is; any other becomes one, also one that breaks a rule of events: nothing
 * that came is lost.
 */
export function eventOrMessage(decode: () => CloudEvent | undefined, message: () => PlainMessage): DecodedMessage {
  try {
    const event = decode();
    if (event) return { event };
  } catch (problem) {
    return { event: eventOfMessage(message()), problem };
  }
  return { event: eventOfMessage(message()) };
}

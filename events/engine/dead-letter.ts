import type { EventDelivery, NewDelivery } from "../store/event-store.ts";
import { subscriberPlace } from "../triggers/subscribers.ts";
import type { Subscriber } from "../triggers/trigger.ts";

/** Of an answer's body in base64; as Knative bounds it. */
const MAX_DATA_CHARS = 1024;
/** Stands for the status where nobody answered. */
const NO_ANSWER = -1;

/** What is told of the last try of a delivery that is given up. */
export interface LastTry {
  readonly subscriber: Subscriber;
  readonly status?: number | undefined;
  readonly body?: Buffer | undefined;
}

/** The delivery of what could not be delivered, to the dead-letter sink. The event says what was wrong, as Knative's do. */
export function deadLetterOf(
  { trigger, attributes, replay }: Pick<EventDelivery, "trigger" | "attributes" | "replay">,
  { subscriber, status, body }: LastTry,
): NewDelivery {
  const data = body?.subarray(0, (MAX_DATA_CHARS / 4) * 3).toString("base64") ?? "";
  return {
    trigger,
    deadLetter: true,
    ...(replay !== undefined && { replay }),
    attributes: {
      ...attributes,
      knativeerrordest: subscriberPlace(subscriber),
      knativeerrorcode: status ?? NO_ANSWER,
      ...(data !== "" && { knativeerrordata: data }),
    },
  };
}

import type { CloudEvent } from "../codec/cloud-event.ts";
import type { BrokerRef, EventDelivery, NewEvent } from "../store/event-store.ts";
import type { Subscriber } from "../triggers/trigger.ts";
import {
  buildMessage,
  type DeliveryMessage,
  headerBytes,
  type MessageOptions,
  onwardHeaders,
  repliedEvent,
} from "./outgoing.ts";
import type { CallFunction, EventAnswer, SendToSink } from "./ports.ts";
import { eventBytes } from "./reply.ts";
import type { UriCaller } from "./uri-caller.ts";

export interface SenderOptions {
  readonly callFunction: CallFunction;
  readonly sendToSink: SendToSink;
  /** Whether there is such a broker. */
  readonly hasBroker: (broker: BrokerRef) => Promise<boolean>;
  readonly uris: Pick<UriCaller, "call">;
  /** How the platform names itself to functions. */
  readonly userAgent: string;
  readonly maxAnswerBytes: number;
  /** Of an event in its broker. */
  readonly maxEventBytes: number;
  readonly now: () => number;
}

/** What sending an event has led to. */
export interface Sent {
  readonly answer: EventAnswer;
  /** Stored together with the settlement, where the subscriber is a broker. */
  readonly appended?: readonly NewEvent[];
  readonly retryAfterMs?: number | undefined;
}

const NO_ANSWER = { headers: {}, body: Buffer.alloc(0) };

/** Sends an event to wherever a subscriber is. */
export class Sender {
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** @throws the reason of `signal` when that aborts */
  async send(
    subscriber: Subscriber,
    event: CloudEvent,
    delivery: EventDelivery,
    how: MessageOptions,
    signal: AbortSignal,
  ): Promise<Sent> {
    const { callFunction, sendToSink, uris, userAgent, maxAnswerBytes } = this.#options;
    switch (subscriber.kind) {
      case "function": {
        const { function: ref, version, path = "/" } = subscriber;
        const call = {
          function: ref,
          ...(version !== undefined && { version }),
          path,
          ...withAgent(buildMessage(event, delivery, how), userAgent),
          callId: `event-${delivery.event.ref}-${delivery.id}`,
          arrivedAt: delivery.event.arrivedAt,
          attempt: delivery.failures + 1,
          maxAnswerBytes,
        };
        return { answer: await callFunction(call, signal) };
      }
      case "uri":
        return { answer: await uris.call(subscriber.uri, buildMessage(event, delivery, how), signal) };
      case "sink": {
        const { status, error, retryAfterMs } = await sendToSink(subscriber, event, signal);
        const answer = { ...NO_ANSWER, ...(status !== undefined && { status }), ...(error !== undefined && { error }) };
        return { answer, retryAfterMs };
      }
      default:
        return await this.#toBroker(subscriber.broker, event, delivery);
    }
  }

  async #toBroker(
    broker: BrokerRef,
    event: CloudEvent,
    { event: from, trigger, replay }: EventDelivery,
  ): Promise<Sent> {
    if (!(await this.#options.hasBroker(broker))) {
      return { answer: { ...NO_ANSWER, status: 404, error: `there is no broker ${broker.namespace}/${broker.name}` } };
    }
    const hops = from.hops - 1;
    if (hops <= 0) {
      return { answer: { ...NO_ANSWER, error: "the event has come through too many brokers", final: true } };
    }
    const onward = repliedEvent(event, replay);
    if (eventBytes(onward) + headerBytes(from) > this.#options.maxEventBytes) {
      return { answer: { ...NO_ANSWER, error: "the event is larger than a broker takes", final: true } };
    }
    const forwarded: NewEvent = {
      broker,
      event: onward,
      headers: onwardHeaders(from),
      hops,
      arrivedAt: this.#options.now(),
      via: `reply/${trigger}`,
    };
    return { answer: { ...NO_ANSWER, status: 202 }, appended: [forwarded] };
  }
}

function withAgent({ headers, body }: DeliveryMessage, userAgent: string): DeliveryMessage {
  return { headers: [...headers, ["User-Agent", userAgent]], body };
}

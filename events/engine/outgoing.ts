import type { CloudEvent, EventValue } from "../codec/cloud-event.ts";
import { encodeBinary, encodeStructured } from "../codec/http.ts";
import type { EventDelivery, HeaderList, StoredEvent } from "../store/event-store.ts";
import type { EventFormat } from "../triggers/trigger.ts";

/** How many replies may still follow: for brokers only, so subscribers never see it. */
const HOPS = "knativebrokerttl";
const ARRIVAL = "knativearrivaltime";
const REPLAY = "faaslanereplay";

/** Headers of an event that came by HTTP which its subscribers get. */
const FORWARDED: ReadonlySet<string> = new Set(["x-request-id", "traceparent", "tracestate"]);
const FORWARDED_PREFIXES = ["knative-", "x-b3-"] as const;
/** None of these goes on, whoever set it: they say who somebody is, or belong to one connection or message. */
const NEVER: ReadonlySet<string> = new Set([
  ...["authorization", "proxy-authorization", "cookie", "set-cookie", "host", "connection", "keep-alive", "te"],
  ...["transfer-encoding", "trailer", "upgrade", "expect", "content-length", "content-type", "content-encoding"],
  ...["prefer", "user-agent", "kn-namespace", "x-replay", "x-call-id", "x-function-version"],
]);
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** An event as it is delivered. */
export function deliveredEvent({ event, attributes, replay }: EventDelivery): CloudEvent {
  const { [HOPS]: _, ...own } = event.event.attributes;
  return {
    ...event.event,
    attributes: {
      ...(own as Record<string, EventValue>),
      [ARRIVAL]: new Date(event.arrivedAt).toISOString(),
      ...attributes,
      ...(replay !== undefined && { [REPLAY]: replay }),
    },
  };
}

/** A reply as its broker takes it: what a subscriber copied from the event that it got is not its own. */
export function repliedEvent({ attributes, ...rest }: CloudEvent, replay: string | undefined): CloudEvent {
  const { [HOPS]: _, [ARRIVAL]: __, [REPLAY]: ___, ...own } = attributes;
  return {
    ...rest,
    attributes: { ...(own as Record<string, EventValue>), ...(replay !== undefined && { [REPLAY]: replay }) },
  };
}

/** Headers that go on with what follows from the event. */
export function onwardHeaders({ headers, via }: Pick<StoredEvent, "headers" | "via">): HeaderList {
  return headers.filter(([name, value]) => {
    const lower = name.toLowerCase();
    if (NEVER.has(lower) || lower.startsWith("ce-") || !NAME.test(name) || !VALUE.test(value)) return false;
    if (via !== "http") return true;
    return FORWARDED.has(lower) || FORWARDED_PREFIXES.some((prefix) => lower.startsWith(prefix));
  });
}

/** What they add to an event as stores count it, and a little more. */
export function headerBytes(event: Pick<StoredEvent, "headers" | "via">): number {
  return Buffer.byteLength(JSON.stringify(onwardHeaders(event))) + 64;
}

export interface DeliveryMessage {
  readonly headers: HeaderList;
  readonly body: Buffer;
}

export interface MessageOptions {
  readonly format: EventFormat | undefined;
  /** Of the trigger. */
  readonly namespace: string;
  /** Whether an event in the answer goes on. */
  readonly wantsReply: boolean;
  /** Beside those of the event; they win. */
  readonly headers: HeaderList;
}

/** The request that delivers an event. */
export function buildMessage(event: CloudEvent, delivery: EventDelivery, options: MessageOptions): DeliveryMessage {
  const { headers, body } = options.format === "json" ? encodeStructured(event) : encodeBinary(event);
  const own: (readonly [string, string])[] = [
    ...Object.entries(headers),
    ["Kn-Namespace", options.namespace],
    ...(options.wantsReply ? [["Prefer", "reply"] as const] : []),
    ...(delivery.replay === undefined ? [] : [["X-Replay", delivery.replay] as const]),
    ...options.headers,
  ];
  const taken = new Set(own.map(([name]) => name.toLowerCase()));
  return {
    headers: [...onwardHeaders(delivery.event).filter(([name]) => !taken.has(name.toLowerCase())), ...own],
    body,
  };
}

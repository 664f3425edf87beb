import { clip } from "../../contract/clip.ts";
import { decode, parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import { deliverySpec, type EventDeliverySpec } from "../../contract/events/delivery-spec.ts";
import { boundSink } from "../../contract/events/sink-binding.ts";
import {
  DEFAULT_TRIGGER_CONCURRENCY,
  deliveryOrder,
  ledgerWish,
  MAX_TRANSFORM_CHARS,
  MAX_TRIGGER_CONCURRENCY,
} from "../../contract/events/trigger-spec.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import { isDnsLabel } from "../../contract/names.ts";
import { compileAnnotations, hasEventFilter } from "../filters/annotations.ts";
import type { Filter } from "../filters/filter.ts";
import { compileTopics, TOPIC } from "../filters/topics.ts";
import type { BrokerRef } from "../store/event-store.ts";
import { NO_DEFAULTS, readDelivery } from "./read-trigger.ts";
import { parseSubscriber } from "./subscribers.ts";
import type { Trigger } from "./trigger.ts";

type Annotations = Readonly<Record<string, string>>;

const PREFIX = "com.faaslane.events.";
const named = (rest: string) => `${PREFIX}${rest}`;

/** With JSONata that is applied to what the function gets. */
export const TRANSFORM = named("transform");

/** Fields of a delivery that have an annotation of their own. */
const DELIVERY_FIELDS = {
  retry: "retry",
  "backoff-policy": "backoffPolicy",
  "backoff-delay": "backoffDelay",
  timeout: "timeout",
  "retry-after-max": "retryAfterMax",
  "max-delay": "maxDelay",
  "max-age": "maxAge",
  format: "format",
  reply: "reply",
} as const satisfies Record<string, keyof EventDeliverySpec>;

const SUBSCRIBES = ["broker", "delivery", "dead-letter", "order", "concurrency", "suspend", "ledger", "transform"];
const KNOWN = new Set(
  [
    ...["filter", "filter.type", "filter.source", "filter.subject", "filters", "path"],
    // Of functions that send events.
    ...["sink", "overrides"],
    ...SUBSCRIBES,
    ...Object.keys(DELIVERY_FIELDS),
  ].map(named),
);

/** What connectors of OpenFaaS for cron call themselves; a function gets its own ticks only. */
const CRON_TOPIC = "cron-function";

/** Whether a function subscribes to events. */
export function wantsEvents(annotations: Annotations): boolean {
  return annotations[TOPIC] !== undefined || annotations[named("broker")] !== undefined || hasEventFilter(annotations);
}

/** Of a function's annotations those that say which events it gets, and how. */
export function eventAnnotations(annotations: Annotations): Annotations {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => name === TOPIC || name.startsWith(PREFIX)));
}

export function functionTriggerId({ namespace, name }: FunctionRef): string {
  return `function/${namespace}/${name}`;
}

/**
 * The trigger that a function's annotations make.
 * @param defaultsOf what its broker says of deliveries
 * @throws {FaasError} `invalid`, naming the annotation and the rule
 */
export function readEventAnnotations(ref: FunctionRef, annotations: Annotations, defaultsOf = NO_DEFAULTS): Trigger {
  const text = (rest: string) => annotations[named(rest)];
  const unknown = Object.keys(annotations).find((name) => name.startsWith(PREFIX) && !KNOWN.has(name));
  if (unknown !== undefined) throw new FaasError("invalid", `${clip(unknown, 100)}: there is no such annotation`);
  const { namespace } = ref;
  const broker = readBroker(text("broker"), namespace);
  const path = text("path");
  if (path !== undefined && !/^\/[\x21-\x7e]{0,999}$/.test(path)) {
    throw new FaasError("invalid", `${named("path")}: must be a path, from / on`);
  }
  const subscriber = { kind: "function", function: ref, ...(path !== undefined && { path }) } as const;
  const delivery = readDelivery(readDeliverySpec(annotations), subscriber, {
    namespace,
    broker,
    defaultsOf,
    field: named("delivery"),
  });
  const deadLetter = text("dead-letter");
  const replySink = boundSink(annotations);
  const transform = text("transform");
  if (transform !== undefined && transform.length > MAX_TRANSFORM_CHARS) {
    throw new FaasError("invalid", `${TRANSFORM}: must be at most ${MAX_TRANSFORM_CHARS} characters`);
  }
  return {
    id: functionTriggerId(ref),
    namespace,
    broker,
    filter: readFilter(ref, annotations),
    subscriber,
    ...delivery,
    ...(deadLetter !== undefined && { deadLetter: parseSubscriber(deadLetter, namespace, named("dead-letter")) }),
    ...(replySink !== undefined && { replySink }),
    ordered: decode(deliveryOrder, text("order") ?? "any", named("order")) === "partitionkey",
    concurrency: readConcurrency(text("concurrency")),
    ...(readSwitch(text("suspend"), named("suspend")) && { stopped: "suspended", suspended: true }),
    keep: decode(ledgerWish, text("ledger") ?? "full", named("ledger")),
    ...(transform !== undefined && { transform }),
  };
}

/** `NAME`, or `NAMESPACE/NAME`. */
function readBroker(text: string | undefined, namespace: string): BrokerRef {
  const [first = "", second, ...more] = (text ?? DEFAULT_BROKER).split("/");
  const broker = second === undefined ? { namespace, name: first } : { namespace: first, name: second };
  if (more.length === 0 && isDnsLabel(broker.namespace) && isDnsLabel(broker.name)) return broker;
  throw new FaasError("invalid", `${named("broker")}: must be NAME or NAMESPACE/NAME, of a-z, 0-9 and -`);
}

function readDeliverySpec(annotations: Annotations): EventDeliverySpec {
  const whole = annotations[named("delivery")];
  const spec = whole === undefined ? {} : decode(deliverySpec, parseJson(whole, named("delivery")), named("delivery"));
  const fields = Object.entries(DELIVERY_FIELDS).flatMap(([short, field]) => {
    const text = annotations[named(short)];
    if (text === undefined) return [];
    if (field === "retry" && !/^\d{1,9}$/.test(text)) {
      throw new FaasError("invalid", `${named(short)}: must be a whole number`);
    }
    const one = decode(deliverySpec, { [field]: field === "retry" ? Number(text) : text }, named(short));
    return [[field, one[field]]];
  });
  return { ...spec, ...Object.fromEntries(fields) };
}

function readConcurrency(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TRIGGER_CONCURRENCY;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_TRIGGER_CONCURRENCY) return count;
  throw new FaasError(
    "invalid",
    `${named("concurrency")}: must be a whole number from 1 to ${MAX_TRIGGER_CONCURRENCY}`,
  );
}

function readSwitch(text: string | undefined, name: string): boolean {
  if (text === undefined || text === "false") return false;
  if (text === "true") return true;
  throw new FaasError("invalid", `${name}: must be true or false`);
}

/** Topic and filters; an event has to pass both. */
function readFilter(ref: FunctionRef, annotations: Annotations): Filter {
  const topics = annotations[TOPIC];
  const filter = compileAnnotations(annotations);
  if (topics === undefined) return filter ?? (() => ({ passes: true }));
  const wanted = compileTopics(topics);
  const ownTicks = `/cron/${ref.namespace}/${ref.name}`;
  return (attributes) => {
    const topic = String(attributes.topic ?? attributes.type);
    if (!wanted(topic)) {
      const shown = [topic, topics].map((text) => JSON.stringify(clip(text, 80)));
      return { passes: false, reason: `${TOPIC}: is ${shown[0]}, not one of ${shown[1]}` };
    }
    if (topic === CRON_TOPIC && attributes.source !== ownTicks) {
      return { passes: false, reason: `${TOPIC}: the tick is another function's` };
    }
    return filter ? filter(attributes) : { passes: true };
  };
}

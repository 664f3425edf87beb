import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import type { EventDeliverySpec } from "../../contract/events/delivery-spec.ts";
import { DEFAULT_TRIGGER_CONCURRENCY, type TriggerSpec } from "../../contract/events/trigger-spec.ts";
import { type DeliveryPolicy, readDeliveryPolicy } from "../delivery/delivery-policy.ts";
import { compileFilters, type Filter, legacyFilter } from "../filters/filter.ts";
import type { BrokerRef } from "../store/event-store.ts";
import type { EventResourceName } from "../store/resource-store.ts";
import { readSubscriber } from "./subscribers.ts";
import type { EventFormat, ReplyRule, Subscriber, Trigger } from "./trigger.ts";

/** What a broker says of deliveries, for those of its triggers that do not say it themselves. */
export type DefaultsOf = (broker: BrokerRef) => EventDeliverySpec | undefined;

/** How a trigger's events are delivered. */
export interface ReadDelivery {
  readonly policy: DeliveryPolicy;
  readonly deadLetter?: Subscriber;
  readonly format?: EventFormat;
  readonly reply: ReplyRule;
}

/** The platform cuts calls of functions sooner, each as its own settings say. */
const FUNCTION_TIMEOUT = "1h";

/** Where a delivery is declared. */
interface DeliveryPlace {
  readonly namespace: string;
  readonly broker: BrokerRef;
  readonly defaultsOf: DefaultsOf;
  /** For errors. */
  readonly field: string;
}

export const NO_DEFAULTS: DefaultsOf = () => undefined;

/** The ladder of webhooks takes longer than other policies do. */
const WEBHOOK_DEFAULTS = { retry: 7, maxAge: "72h" } as const;

/**
 * Reads how events are delivered, field by field: what `spec` leaves out is as the broker says it.
 * @throws {FaasError} `invalid`
 */
export function readDelivery(
  spec: EventDeliverySpec,
  subscriber: Subscriber,
  { namespace, broker, defaultsOf, field }: DeliveryPlace,
): ReadDelivery {
  const known = Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
  const defaults = defaultsOf(broker);
  const { deadLetterSink: _, format, reply, ...policy } = { ...defaults, ...known } as EventDeliverySpec;
  const ladder = policy.backoffPolicy === "webhook" ? WEBHOOK_DEFAULTS : {};
  const own = subscriber.kind === "function" && policy.timeout === undefined ? { timeout: FUNCTION_TIMEOUT } : {};
  const sink = spec.deadLetterSink ?? defaults?.deadLetterSink;
  const sinkNamespace = spec.deadLetterSink ? namespace : broker.namespace;
  return {
    policy: readDeliveryPolicy({ ...ladder, ...own, ...policy }, field),
    ...(sink && { deadLetter: readSubscriber(sink, sinkNamespace) }),
    ...(format !== undefined && { format }),
    // Functions that know nothing of events answer whatever they like.
    reply: reply ?? (subscriber.kind === "function" ? "any" : "event"),
  };
}

/**
 * The trigger that a checked declaration makes.
 * @throws {FaasError} `invalid`, naming the field and the rule
 */
export function readTrigger(
  spec: TriggerSpec,
  { namespace, name }: Omit<EventResourceName, "kind">,
  defaultsOf = NO_DEFAULTS,
): Trigger {
  const broker = { namespace, name: spec.broker ?? DEFAULT_BROKER };
  const subscriber = readSubscriber(spec.subscriber, namespace, spec.version);
  const delivery = readDelivery(spec.delivery ?? {}, subscriber, { namespace, broker, defaultsOf, field: "delivery" });
  return {
    id: `trigger/${namespace}/${name}`,
    namespace,
    broker,
    filter: readFilter(spec),
    subscriber,
    ...delivery,
    ordered: spec.order === "partitionkey",
    concurrency: spec.concurrency ?? DEFAULT_TRIGGER_CONCURRENCY,
    ...(spec.suspend && { stopped: "suspended", suspended: true }),
    keep: spec.ledger ?? "full",
    ...(spec.transform !== undefined && { transform: spec.transform }),
  };
}

function readFilter({ filter, filters }: TriggerSpec): Filter {
  if (filters !== undefined && filters.length > 0) return compileFilters(filters, "filters");
  const attributes = filter?.attributes ?? {};
  return Object.keys(attributes).length > 0 ? legacyFilter(attributes, "filter.attributes") : () => ({ passes: true });
}

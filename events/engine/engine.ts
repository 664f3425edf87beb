import { keepTrying } from "../../kit/keep-trying.ts";
import type { Logger } from "../../kit/log.ts";
import type { Lookup } from "../../kit/outbound/connector.ts";
import type { CallbackTargets } from "../../kit/outbound/targets.ts";
import { Slices } from "../../kit/slices.ts";
import { earliestNow } from "../../kit/steady-clock.ts";
import type { BrokerRef, EventConsumer, EventStore } from "../store/event-store.ts";
import type { SubscriberHealth } from "../triggers/subscriber-health.ts";
import type { Triggers } from "../triggers/triggers.ts";
import { Deliverer } from "./deliverer.ts";
import { Pauses } from "./pauses.ts";
import type { CallFunction, DeliverySeen, FunctionCapacity, SendToSink, TransformEvent } from "./ports.ts";
import { routeEvents } from "./router.ts";
import { Sender } from "./sender.ts";
import { UnknownTriggers } from "./unknown-triggers.ts";
import { UriCaller } from "./uri-caller.ts";

export interface EventEngineOptions {
  readonly store: Pick<EventStore, "consume" | "drop" | "maxEventBytes">;
  readonly triggers: Triggers;
  readonly health: SubscriberHealth;
  readonly callFunction: CallFunction;
  /** Absent where functions take any number of calls. @param changed to be called when a limit has changed */
  readonly capacity?: (changed: () => void) => FunctionCapacity;
  readonly sendToSink: SendToSink;
  readonly transform: TransformEvent;
  /** Whether there is such a broker. */
  readonly hasBroker: (broker: BrokerRef) => Promise<boolean>;
  /** Where events may go outside. */
  readonly targets: CallbackTargets;
  /** Default: the system's. */
  readonly lookup?: Lookup;
  readonly userAgent: string;
  /** Deliveries at a time in this process. */
  readonly concurrency: number;
  /** How long deliveries of a trigger that is gone wait for it to come back, in milliseconds. Default: 5 minutes. */
  readonly graceMs?: number;
  readonly observe?: (seen: DeliverySeen) => void;
  readonly log: Pick<Logger, "info" | "warn" | "debug">;
  readonly now?: () => number;
  /** From 0 to 1. */
  readonly random?: () => number;
}

export interface EventEngine {
  /** Resolves once events are being routed and delivered. */
  readonly ready: Promise<void>;
  /** Takes nothing more, and waits for what is under way. */
  close(): Promise<void>;
}

const GRACE_MS = 5 * 60_000;
const OPEN_WAIT_MS = [500, 15_000] as const;

/** Routes arrived events to triggers, and makes deliveries, once all triggers are known. */
export function openEngine(options: EventEngineOptions): EventEngine {
  const { store, triggers, log, now = Date.now, random = Math.random, concurrency } = options;
  // A clock that is set forward makes no event old.
  const ageNow = options.now ?? earliestNow;
  const closing = new AbortController();
  const slices = new Slices();
  let consumer: EventConsumer | undefined;
  const changed = () => consumer?.changed();
  const pauses = new Pauses(changed);
  const capacity = options.capacity?.(changed);
  const unknown = new UnknownTriggers({
    store,
    triggers,
    graceMs: options.graceMs ?? GRACE_MS,
    forget: (id) => void options.health.forget(id),
    log,
  });
  const { targets, lookup, userAgent } = options;
  const uris = new UriCaller({ targets, lookup, userAgent, maxAnswerBytes: store.maxEventBytes * 2 });
  const sender = new Sender({
    ...options,
    uris,
    maxAnswerBytes: store.maxEventBytes * 2,
    maxEventBytes: store.maxEventBytes,
    now,
  });
  const deliverer = new Deliverer({
    find: (id) => triggers.find(id),
    health: options.health,
    sender,
    capacity,
    transform: options.transform,
    pause: (id, ms) => {
      pauses.begin(id, ms);
      changed();
    },
    maxEventBytes: store.maxEventBytes,
    observe: options.observe,
    log,
    now,
    ageNow,
    random,
  });
  const perTrigger = (id: string): number => {
    const trigger = triggers.find(id);
    if (!trigger) {
      unknown.met(id);
      return 0;
    }
    const { subscriber, concurrency: most } = trigger;
    if (trigger.suspended || trigger.problem !== undefined || pauses.has(id)) return 0;
    return capacity && subscriber.kind === "function" ? Math.min(most, capacity.limitOf(subscriber.function)) : most;
  };
  const begin = async (): Promise<boolean> => {
    try {
      consumer = await store.consume(
        (events) => slices.run(routeEvents(events, (broker) => triggers.of(broker), ageNow())),
        deliverer.deliver,
        { concurrency, perTrigger },
      );
      return true;
    } catch (err) {
      log.warn({ err }, "events cannot be taken from their store; trying again");
      return false;
    }
  };
  const endChanges = triggers.onChange(changed);
  const aborted = new Promise<void>((resolve) => closing.signal.addEventListener("abort", () => resolve()));
  const open = async (): Promise<void> => {
    await Promise.race([triggers.ready, aborted]);
    if (closing.signal.aborted) return;
    unknown.begin();
    await keepTrying(begin, OPEN_WAIT_MS, closing.signal);
    changed();
  };
  const ready = open();
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closing.abort();
    endChanges();
    unknown.close();
    await ready;
    await consumer?.close();
    pauses.close();
    capacity?.close();
    await uris.close();
  };
  return {
    ready,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

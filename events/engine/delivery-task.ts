import type { EventDelivery } from "../store/event-store.ts";
import { parseReplayTarget } from "../triggers/subscribers.ts";
import type { ReplyRule, Subscriber, Trigger } from "../triggers/trigger.ts";

/** One delivery as it is being made. */
export interface DeliveryTask {
  readonly trigger: Trigger;
  readonly delivery: EventDelivery;
  readonly subscriber: Subscriber;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** By `performance.now`. */
  readonly startedMs: number;
}

/** Where it goes; undefined for a dead letter without a sink. */
export function subscriberOf(trigger: Trigger, { target, deadLetter }: EventDelivery): Subscriber | undefined {
  if (target !== undefined) return parseReplayTarget(target, trigger.namespace);
  return deadLetter ? trigger.deadLetter : trigger.subscriber;
}

/** Whether it is what the trigger is there for: no dead letter, and to nobody else. */
export function isMain({ target, deadLetter }: EventDelivery): boolean {
  return target === undefined && !deadLetter;
}

/** Whether its failures count for how its subscriber is. */
export function keepsHealth({ trigger, delivery }: DeliveryTask): boolean {
  return trigger.policy.backoff === "webhook" && isMain(delivery);
}

/** What an answer may be. */
export function replyRule({ trigger, delivery, subscriber }: DeliveryTask): ReplyRule {
  const { onAnswer, broker, reply = "event" } = trigger;
  if (delivery.deadLetter || subscriber.kind === "sink" || subscriber.kind === "broker") return "none";
  return onAnswer || broker ? reply : "none";
}

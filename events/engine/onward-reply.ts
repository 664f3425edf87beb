import type { CloudEvent } from "../codec/cloud-event.ts";
import type { EventDelivery, NewEvent } from "../store/event-store.ts";
import { towardsSink } from "../triggers/sink-triggers.ts";
import type { Trigger } from "../triggers/trigger.ts";
import { onwardHeaders, repliedEvent } from "./outgoing.ts";

/** What goes on of a reply, to the broker or a sink, or why nothing does. @param now in milliseconds since the epoch */
export function onwardReply(
  { id, namespace, broker, replySink }: Pick<Trigger, "id" | "namespace" | "broker" | "replySink">,
  { replay, replies, event }: EventDelivery,
  reply: CloudEvent,
  now: number,
): { readonly event: NewEvent } | { readonly note: string } {
  if (!broker) return { note: "the reply goes nowhere: the trigger has no broker" };
  if (replay !== undefined && !replies) return { note: "the reply does not go on: this is a replay" };
  const hops = event.hops - 1;
  if (hops <= 0) return { note: "the reply is dropped: too many replies have followed one from another" };
  return {
    event: {
      ...(replySink === undefined ? { broker } : towardsSink({ namespace, name: replySink })),
      event: repliedEvent(reply, replay),
      headers: onwardHeaders(event),
      hops,
      arrivedAt: now,
      via: `reply/${id}`,
    },
  };
}

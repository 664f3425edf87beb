import { decodeTriggerSpec } from "../../../contract/events/trigger-spec.ts";
import type { CloudEvent } from "../../../events/codec/cloud-event.ts";
import { Deliverer } from "../../../events/engine/deliverer.ts";
import { Sender } from "../../../events/engine/sender.ts";
import { UriCaller } from "../../../events/engine/uri-caller.ts";
import type { DeliverySettlement, HeaderList } from "../../../events/store/event-store.ts";
import { readTrigger } from "../../../events/triggers/read-trigger.ts";
import type { Lookup } from "../../../kit/outbound/connector.ts";
import { ANY_TARGET, type CallbackTargetRules, CallbackTargets } from "../../../kit/outbound/targets.ts";

export const MAX_EVENT_BYTES = 64 * 1024;

export interface OneDelivery {
  readonly uri: string;
  readonly delivery?: object;
  readonly event?: CloudEvent;
  readonly headers?: HeaderList;
  readonly targets?: CallbackTargetRules;
  readonly lookup?: Lookup;
}

/** One try at a URL, and what becomes of the delivery. Pauses that were asked for are added to `pauses`. */
export async function deliverOnce(given: OneDelivery, pauses: number[] = []): Promise<DeliverySettlement> {
  const { uri, delivery = {}, headers = [], targets = ANY_TARGET, lookup } = given;
  const spec = { subscriber: { uri }, delivery: { timeout: "PT1S", ...delivery } };
  const trigger = readTrigger(decodeTriggerSpec(spec), { namespace: "shop", name: "one" });
  const maxAnswerBytes = MAX_EVENT_BYTES * 2;
  const uris = new UriCaller({ targets: new CallbackTargets(targets), lookup, userAgent: "test/1", maxAnswerBytes });
  const sender = new Sender({
    callFunction: async () => ({ headers: {}, body: Buffer.alloc(0) }),
    sendToSink: async () => ({ status: 200 }),
    hasBroker: async () => true,
    uris,
    userAgent: "test/1",
    maxAnswerBytes,
    maxEventBytes: MAX_EVENT_BYTES,
    now: Date.now,
  });
  const silent = () => {};
  const deliverer = new Deliverer({
    find: () => trigger,
    health: { stop: async () => {}, failed: async () => {}, succeeded: async () => {}, failingSince: () => undefined },
    sender,
    transform: async (_expression, event) => event,
    pause: (_trigger, ms) => void pauses.push(ms),
    maxEventBytes: MAX_EVENT_BYTES,
    log: { warn: silent, debug: silent },
    now: Date.now,
    ageNow: Date.now,
    random: () => 0,
  });
  const attributes = { specversion: "1.0", id: "1", source: "/shop", type: "order.placed" };
  const event = given.event ?? { attributes, data: Buffer.from("{}") };
  const broker = { namespace: "shop", name: "default" };
  const stored = { ref: "1", broker, event, headers, hops: 255, arrivedAt: Date.now(), via: "http" };
  try {
    const one = { id: "1", trigger: trigger.id, failures: 0, event: stored };
    return await deliverer.deliver(one, new AbortController().signal);
  } finally {
    await uris.close();
  }
}

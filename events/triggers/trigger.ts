import type { FunctionRef } from "../../contract/functions.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { DeliveryPolicy } from "../delivery/delivery-policy.ts";
import type { Filter } from "../filters/filter.ts";
import type { BrokerRef, EventDelivery, HeaderList, NewEvent } from "../store/event-store.ts";

/** Where events go. */
export type Subscriber =
  | { readonly kind: "function"; readonly function: FunctionRef; readonly version?: string; readonly path?: string }
  | { readonly kind: "uri"; readonly uri: string }
  | { readonly kind: "broker"; readonly broker: BrokerRef }
  /** Declared by name; signed and sent as its protocol has it. */
  | { readonly kind: "sink"; readonly namespace: string; readonly name: string };

export type EventFormat = "binary" | "json";
/**
 * `event`: an answer of 200 with a body is one event, or the delivery has failed; `any`: a body that does not claim to be an event
 * is fine; `none`: answers are not looked at.
 */
export type ReplyRule = "event" | "any" | "none";

/** Who wants which events of a broker. */
export interface Trigger {
  /** `function/NAMESPACE/NAME` by annotations, `trigger/NAMESPACE/NAME`, `flow/NAMESPACE/NAME/STEP`. */
  readonly id: string;
  readonly namespace: string;
  /** Absent when it gets only what is directed to it. */
  readonly broker?: BrokerRef;
  readonly filter: Filter;
  readonly subscriber: Subscriber;
  readonly policy: DeliveryPolicy;
  readonly deadLetter?: Subscriber;
  /** One after another among events of one `partitionkey`. */
  readonly ordered: boolean;
  /** Deliveries at a time. */
  readonly concurrency: number;
  /** Why nothing is sent to it for now: suspended, or its subscriber answered 410. */
  readonly stopped?: string;
  /** It is stopped by its owner: what it matches waits for it. */
  readonly suspended?: boolean;
  /** What is wrong with its declaration, which keeps it from getting any events. */
  readonly problem?: string;
  /** Tells its declaration from others of the same id; one that stopped starts again with another. */
  readonly declared?: string;
  /** How events are written into requests; `binary` when absent. */
  readonly format?: EventFormat;
  /** What an answer may be; `event` when absent. */
  readonly reply?: ReplyRule;
  /** Gets replies instead of the trigger's broker: a declared sink of the trigger's namespace. */
  readonly replySink?: string;
  readonly keep: "full" | "meta" | "off";
  /** JSONata, applied to the event before it is delivered. */
  readonly transform?: string;
  /**
   * Asked before each try, even of a subscriber that is then sent nothing. A failed promise is a failed try, which is made again
   * as after other failures.
   */
  readonly onTry?: (delivery: EventDelivery) => Promise<TryOrder>;
  /**
   * Makes of an answer what is appended; a reply goes to the trigger's broker when absent. A failed promise is a failed try.
   * @param reply the event that the subscriber answered, if it did
   */
  readonly onAnswer?: (
    delivery: EventDelivery,
    reply: CloudEvent | undefined,
    answer: SubscriberAnswer,
  ) => Promise<readonly NewEvent[]>;
  /**
   * Makes of a delivery that is given up what is appended. With a failed promise it is not given up yet.
   * @param answer of the last try, where there was one
   */
  readonly onDead?: (
    delivery: EventDelivery,
    reason: string,
    answer: SubscriberAnswer | undefined,
  ) => Promise<readonly NewEvent[]>;
}

/** What a subscriber answered, as it came. */
export interface SubscriberAnswer {
  readonly status: number;
  readonly contentType?: string;
  /** As far as it was read; absent where there is none. */
  readonly body?: Buffer;
}

/** What a trigger has done with a delivery before it is tried. */
export type TryOrder =
  /** With these headers beside those of the event, and to that version where the subscriber is a function. */
  | { readonly kind: "send"; readonly headers: HeaderList; readonly version?: string }
  /** It is dealt with: nothing is sent, and it is settled as delivered. The note is kept with the attempt. */
  | { readonly kind: "done"; readonly note?: string; readonly appended?: readonly NewEvent[] };

/** Triggers from one place: annotations, resources, flows. */
export interface TriggerSet {
  readonly all: readonly Trigger[];
  /** Resolves once it has looked at what is declared; nothing is routed before. At once when absent. */
  readonly ready?: Promise<void>;
  /** @returns ends it */
  onChange(listener: () => void): () => void;
}

import type { FunctionRef } from "../../contract/functions.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { DeliveryPolicy } from "../delivery/delivery-policy.ts";
import type { Filter } from "../filters/filter.ts";
import type { BrokerRef, EventDelivery, NewEvent } from "../store/event-store.ts";

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
  readonly keep: "full" | "meta" | "off";
  /** JSONata, applied to the event before it is delivered. */
  readonly transform?: string;
  /**
   * Makes of an answer what is appended; a reply goes to the trigger's broker when absent.
   * @param reply the event that the subscriber answered, if it did
   */
  readonly onAnswer?: (delivery: EventDelivery, reply: CloudEvent | undefined) => Promise<readonly NewEvent[]>;
  /** Makes of a delivery that is given up what is appended. */
  readonly onDead?: (delivery: EventDelivery, reason: string) => Promise<readonly NewEvent[]>;
}

/** Triggers from one place: annotations, resources, flows. */
export interface TriggerSet {
  readonly all: readonly Trigger[];
  /** Resolves once it has looked at what is declared; nothing is routed before. At once when absent. */
  readonly ready?: Promise<void>;
  /** @returns ends it */
  onChange(listener: () => void): () => void;
}

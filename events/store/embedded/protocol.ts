import type { ErrorCode } from "../../../contract/error-codes.ts";
import type { FaasError } from "../../../contract/errors.ts";
import type { HousekeepingNote } from "../../../kit/database-housekeeper.ts";
import type { RefusedToOpen } from "../../../kit/database-thread.ts";
import type {
  AttemptRecord,
  BrokerLimits,
  BrokerRef,
  BrokerStats,
  DeliveryRecord,
  EventQuery,
  NewDelivery,
  TriggerVerdict,
} from "../event-store.ts";
import type { EventResource, EventResourceName, ResourceKind, ResourceOrigin } from "../resource-store.ts";

/** What the store and its thread say to each other. Data of events travels in one buffer, beside the rest. */

/** Place of an event's data in the buffer; absent where it has none. */
export interface DataPlace {
  readonly at: number;
  readonly bytes: number;
}

export interface WireEvent {
  readonly broker: BrokerRef;
  /** JSON of attributes and headers. */
  readonly head: string;
  readonly data?: DataPlace;
  readonly hops: number;
  readonly arrivedAt: number;
  readonly via: string;
  readonly once?: string;
  readonly directed?: readonly NewDelivery[];
  /** Of id, source and type, each with the broker. */
  readonly hashes: readonly [id: number, source: number, type: number];
}

export type WireEventSettlement =
  | { readonly kind: "done"; readonly attempt: AttemptRecord; readonly appended?: readonly WireEvent[] }
  | { readonly kind: "retry"; readonly afterMs: number; readonly attempt: AttemptRecord }
  | {
      readonly kind: "dead";
      readonly reason: string;
      readonly attempt?: AttemptRecord;
      readonly next?: NewDelivery;
      readonly appended?: readonly WireEvent[];
    }
  | { readonly kind: "back" };

export interface WireRouting {
  readonly seq: number;
  readonly verdicts: readonly TriggerVerdict[];
  readonly deliveries: readonly NewDelivery[];
  readonly keep: "full" | "meta" | "off";
}

/** Asks with an answer each. */
interface Asks {
  readonly limit: { readonly broker: BrokerRef; readonly limits: BrokerLimits };
  /** Some at a time: `next` of the answer is where to go on, absent at the end. */
  readonly list: {
    readonly query: EventQuery;
    readonly newest: boolean;
    readonly after: number | undefined;
    readonly limit: number;
    readonly withData: boolean;
  };
  readonly find: { readonly namespace: string; readonly seq: number };
  readonly again: { readonly namespace: string; readonly seq: number; readonly deliveries: readonly NewDelivery[] };
  /** Some at a time, none when all are. */
  readonly drop: { readonly trigger: string; readonly reason: string; readonly upTo: number | undefined };
  readonly stats: { readonly namespace: string };
  /** The next events of a broker that are not routed. */
  readonly pending: { readonly broker: number; readonly after: number; readonly limit: number };
  readonly events: { readonly seqs: readonly number[] };
  readonly resources: { readonly of: ResourceKind; readonly namespace: string | undefined };
  readonly resource: { readonly name: EventResourceName };
  readonly put: {
    readonly name: EventResourceName;
    readonly spec: string;
    readonly origin: ResourceOrigin | undefined;
    readonly expected: number | undefined;
  };
  readonly remove: { readonly name: EventResourceName };
}

export interface WireStoredEvent extends Omit<WireEvent, "once" | "directed" | "data" | "hashes"> {
  readonly seq: number;
  readonly data?: Uint8Array;
}

export interface WireRecord {
  readonly event: WireStoredEvent;
  readonly dataBytes: number;
  readonly sha256?: string;
  readonly pending: boolean;
  readonly verdicts: readonly TriggerVerdict[];
  readonly deliveries: readonly DeliveryRecord[];
}

export interface EventAnswers {
  readonly limit: undefined;
  readonly list: { readonly records: readonly WireRecord[]; readonly next?: number };
  readonly find: WireRecord | undefined;
  readonly again: undefined;
  readonly drop: { readonly count: number; readonly upTo: number };
  readonly stats: readonly BrokerStats[];
  readonly pending: { readonly seqs: readonly number[]; readonly more: boolean };
  readonly events: readonly WireStoredEvent[];
  readonly resources: readonly WireResource[];
  readonly resource: WireResource | undefined;
  readonly put: number;
  readonly remove: boolean;
}

export interface WireResource extends Omit<EventResource, "spec"> {
  /** JSON. */
  readonly spec: string;
}

export type EventAskKind = keyof Asks;
export type EventAskOf<K extends EventAskKind> = { readonly kind: K } & Asks[K];
export type EventAsk = { readonly [K in EventAskKind]: EventAskOf<K> }[EventAskKind];

export type EventRequest =
  | { readonly kind: "append"; readonly name: number; readonly events: readonly WireEvent[] }
  | { readonly kind: "settle"; readonly delivery: number; readonly settlement: WireEventSettlement }
  | { readonly kind: "route"; readonly broker: number; readonly routings: readonly WireRouting[] }
  | {
      readonly kind: "claim";
      readonly consumer: number;
      readonly claims: readonly (readonly [trigger: string, count: number])[];
    }
  | { readonly kind: "ask"; readonly name: number; readonly ask: EventAsk };

export type ToEventThread =
  /** `data` of append, route and settle is in `bodies`. */
  | { readonly kind: "batch"; readonly requests: readonly EventRequest[]; readonly bodies: ArrayBuffer }
  | { readonly kind: "close" };

export interface EventRefusal {
  readonly kind: FaasError["kind"];
  readonly message: string;
  readonly code?: ErrorCode;
}

export interface WireEventDelivery extends NewDelivery {
  readonly id: number;
  readonly event: number;
  readonly failures: number;
}

export interface EventClaimAnswer {
  readonly consumer: number;
  readonly trigger: string;
  readonly deliveries: readonly WireEventDelivery[];
  /** How many were asked for and were not there: the trigger has none for now. */
  readonly missed: number;
}

export type FromEventThread =
  | { readonly kind: "opened" }
  | RefusedToOpen
  | HousekeepingNote
  | {
      readonly kind: "stored";
      /** Place of each event, and whether it was there. */
      readonly appended: readonly (readonly [
        name: number,
        places: readonly (readonly [seq: number, known: boolean])[],
      ])[];
      readonly refused: readonly (readonly [name: number, refusal: EventRefusal])[];
      readonly answers: readonly (readonly [name: number, value: EventAnswers[EventAskKind]])[];
      readonly claims: readonly EventClaimAnswer[];
      /** Triggers that may have deliveries that are due, until a claim is missed. */
      readonly ready: readonly string[];
      /** Brokers that have events to route, until fewer come than were asked for. */
      readonly pending: readonly (readonly [broker: number, ref: BrokerRef])[];
      /** Given out, and ended by others. */
      readonly abort: readonly number[];
    };

export type EventThreadAnswer = Extract<FromEventThread, { kind: "stored" }>;

/** What opening needs; handed over as `workerData`. */
export interface EmbeddedEventSettings {
  readonly path: string;
  readonly minFreeBytes: number;
  readonly maxBytes: number;
  /** Larger data is not kept once it is delivered. */
  readonly keepDataBytes: number;
}

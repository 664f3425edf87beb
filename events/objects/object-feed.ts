import type {
  EventObjectRef,
  EventObjectStatus,
  EventObjectsEvent,
  StatusOutcome,
} from "../../contract/events/event-object.ts";

/** Who is told of objects. */
export interface ObjectSink {
  /** A stream begins. */
  begin(): void;
  apply(event: EventObjectsEvent): void;
}

/** Where objects of a cluster are learnt of. */
export interface ObjectFeed {
  /** Tells `sink` of objects until `signal` aborts, through as many streams as that takes. */
  follow(sink: ObjectSink, signal: AbortSignal): Promise<void>;
  /** Those that are gone, by what the cluster says now. At most `MAX_STATUSES`. @throws {FaasError} when it does not say */
  gone(objects: readonly EventObjectRef[], signal: AbortSignal): Promise<readonly EventObjectRef[]>;
  /** Has it written into objects how they are. At most `MAX_STATUSES`. @throws {FaasError} */
  report(statuses: readonly EventObjectStatus[], signal: AbortSignal): Promise<readonly StatusOutcome[]>;
}

import type { z } from "zod";
import type { Logger } from "../../kit/log.ts";
import type { CallbackTargets } from "../../kit/outbound/targets.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { Appended, HeaderList, NewDelivery } from "../store/event-store.ts";

/** What a source has seen outside, as an event. */
export interface SourceEvent {
  readonly event: CloudEvent;
  /** Headers as the connector of OpenFaaS for this source sends them, e.g. `X-Kafka-Offset`. */
  readonly headers?: HeaderList;
  /** What functions name in their annotation `topic`; set in the event as its attribute `topic`. */
  readonly topic?: string;
  /** Seen twice, it is one event all the same. */
  readonly once?: string;
  /** Goes to these triggers alone; the others of its broker are not asked. */
  readonly directed?: readonly NewDelivery[];
}

/** A request that came to the address of a source, `/webhook/NAMESPACE/NAME`. */
export interface SourceRequest {
  readonly method: string;
  /** With names in lower case; of one that came several times, all values with commas between. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

export interface SourceAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Answers a request. What it throws is answered as errors are. */
export type AnswerRequest = (request: SourceRequest) => Promise<SourceAnswer>;

/** What a source may use. */
export interface SourceContext {
  readonly namespace: string;
  readonly name: string;
  /**
   * Resolves once the events are stored: only then the outside is told that they have been received.
   * @returns in their order, how the store has them
   * @throws {FaasError} when they cannot be stored, `invalid` for one that is no event; the outside has to keep them
   */
  emit(events: readonly SourceEvent[]): Promise<readonly Appended[]>;
  /** Whether an event that it emitted is still to be delivered to somebody. */
  isOpen(ref: string): Promise<boolean>;
  /** When an event arrived, in milliseconds since 1970; undefined when it is not kept any more. */
  arrivedAt(ref: string): Promise<number | undefined>;
  /** Requests to its address go there from now on. Only for types that say {@link SourceType.receives}. */
  receive(answer: AnswerRequest): void;
  /**
   * Text of a secret in the source's namespace.
   * @param key one of its keys where it has several
   * @throws {FaasError} `notFound`
   */
  secret(name: string, key?: string): Promise<string>;
  /** How far it has come, for sources whose outside does not keep that. At most 64 KiB. */
  readonly cursor: { load(): Promise<string | undefined>; save(text: string): Promise<void> };
  /** It is connected: its failures are over. */
  connected(): void;
  /** What waits outside, where that is known. */
  lag(count: number): void;
  /** It has lost the outside, and tries again by itself until it is {@link connected} again. */
  lost(error: unknown): void;
  /** Something went wrong with one message, and it goes on. */
  warn(error: unknown): void;
  /** Where requests over HTTP may go. */
  readonly targets: CallbackTargets;
  /** Aborts when the source is to stop. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly log: Pick<Logger, "info" | "warn" | "debug">;
}

/** A kind of source. */
export interface SourceType<Settings = unknown> {
  /** As it is declared, e.g. `kafka`. */
  readonly type: string;
  /** Of what is declared beside `type`, `broker`, `suspend` and `attributes`; strict, so that a typing error is told. */
  readonly settings: z.ZodType<Settings>;
  /** Several may run it at a time, in as many processes; otherwise only the leader does. */
  readonly shared?: boolean;
  /** It answers requests to its address, so that every gateway runs it, and no other process. */
  readonly receives?: boolean;
  /** Called while it is declared but suspended, at every start too: what it missed meanwhile is not missed. */
  suspended?(settings: Settings, context: Pick<SourceContext, "cursor">): Promise<void>;
  /**
   * Runs until the signal aborts. What it throws is told in the source's status, and it is run again after a while,
   * ever longer.
   */
  run(settings: Settings, context: SourceContext): Promise<void>;
}

/** What a source's owner is told. */
export interface SourceStatus {
  readonly state: "connecting" | "connected" | "failing" | "suspended" | "elsewhere";
  /** Why it fails, without secrets. */
  readonly problem?: string;
  readonly events: number;
  readonly errors: number;
  readonly lag?: number;
  /** Milliseconds since the epoch. */
  readonly lastEventAt?: number;
  readonly lastErrorAt?: number;
}

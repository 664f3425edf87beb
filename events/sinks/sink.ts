import type { z } from "zod";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { DeliveryAttempt } from "../delivery/next-attempt.ts";

export interface SinkContext {
  readonly namespace: string;
  readonly name: string;
  /** As a source's. */
  secret(name: string, key?: string): Promise<string>;
}

/** An open connection to the outside; kept between events, and opened again by its owner when it fails. */
export interface OpenSink {
  /**
   * Sends an event, and waits until the outside has it for good.
   * @returns status as of HTTP: 200 when it has it; what it refuses for ever is 400. An `error` is tried again
   */
  send(event: CloudEvent, signal: AbortSignal): Promise<DeliveryAttempt>;
  close(): Promise<void>;
}

/** A kind of sink. */
export interface SinkType<Settings = unknown> {
  /** As it is declared, e.g. `kafka`. */
  readonly type: string;
  readonly settings: z.ZodType<Settings>;
  open(settings: Settings, context: SinkContext): Promise<OpenSink>;
}

import type { z } from "zod";
import type { CallbackTargets } from "../../kit/outbound/targets.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { DeliveryAttempt } from "../delivery/next-attempt.ts";

export interface SinkContext {
  readonly namespace: string;
  readonly name: string;
  /** As a source's. */
  secret(name: string, key?: string): Promise<string>;
  /** Where requests to URLs may go. */
  readonly targets: CallbackTargets;
  readonly now: () => number;
}

/** An open connection to the outside; kept between events, and opened again by its owner when it fails. */
export interface OpenSink {
  /**
   * Sends an event, and waits until the outside has it for good.
   * @returns status as of HTTP: 200 when it has it; what it refuses for ever is 400. An `error` is tried again, and with it
   * the connection is given up
   * @throws as an `error`; the reason of `signal` when that aborts
   */
  send(event: CloudEvent, signal: AbortSignal): Promise<DeliveryAttempt>;
  close(): Promise<void>;
}

/** A kind of sink. */
export interface SinkType<Settings = unknown> {
  /** As it is declared, e.g. `kafka`. */
  readonly type: string;
  /** Of what is declared beside `type`; strict, so that a typing error is told. */
  readonly settings: z.ZodType<Settings>;
  /** @throws {FaasError} why it cannot be opened, without secrets */
  open(settings: Settings, context: SinkContext): Promise<OpenSink>;
}

import type { MsgHdrs, NatsConnection } from "nats";

export interface Outgoing {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly reply?: string;
  readonly headers?: MsgHdrs;
  /** Called when the client refuses it. */
  readonly failed?: (cause: unknown) => void;
}

/**
 * Sends what comes up in one turn of the event loop in one write. By itself the client writes as soon as the first
 * message's callback is done, which under load is a system call for each message.
 */
export class Outbox {
  readonly #nc: NatsConnection;
  #messages: Outgoing[] = [];

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  add(message: Outgoing): void {
    if (this.#messages.push(message) === 1) setImmediate(() => this.empty());
  }

  /** Hands over what there is now. */
  empty(): void {
    const messages = this.#messages;
    this.#messages = [];
    for (const { subject, payload, reply, headers, failed } of messages) {
      try {
        this.#nc.publish(subject, payload, { ...(reply !== undefined && { reply }), ...(headers && { headers }) });
      } catch (cause) {
        failed?.(cause);
      }
    }
  }
}

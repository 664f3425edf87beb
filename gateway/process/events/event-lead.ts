import type { SourceLead } from "../../../events/sources/source-runner.ts";
import type { Logger } from "../../../kit/log.ts";
import { NatsLeadership } from "../../cluster/nats-leadership.ts";
import { openLink } from "../../nats/connection.ts";
import type { NatsCredentials } from "../../nats/credentials.ts";
import { LateLink } from "../../nats/late-link.ts";
import type { NatsConfig } from "../async-config.ts";

export interface EventLeadOptions extends NatsConfig {
  readonly credentials: NatsCredentials;
  /** Name of this process, its own for each start. */
  readonly process: string;
  readonly log: Pick<Logger, "debug" | "info" | "warn" | "error">;
}

/** A process that has been silent for so long leads no more. */
const LEASE_MS = 6_000;
const LOOK_EVERY_MS = 250;

/** Of the processes on one NATS, the one that runs what only one may run. */
export class EventLead implements SourceLead {
  readonly #link: LateLink;
  readonly #leadership: NatsLeadership;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #led = false;

  constructor({ servers, replicas, storage, credentials, process, log }: EventLeadOptions) {
    this.#link = new LateLink({ open: () => openLink({ servers, log }, credentials, { noEcho: true }), log });
    this.#leadership = new NatsLeadership({
      link: this.#link,
      bucket: { replicas, storage },
      key: "events",
      gateway: process,
      leaseMs: LEASE_MS,
      willing: () => true,
      log,
    });
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  acts(): boolean {
    return this.#leadership.leading;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #look(): void {
    const leads = this.acts();
    if (leads === this.#led) return;
    this.#led = leads;
    for (const listener of this.#listeners) listener();
  }

  /** Leaves the lead to others. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#leadership.close();
    this.#look();
    await this.#link.close();
  }
}

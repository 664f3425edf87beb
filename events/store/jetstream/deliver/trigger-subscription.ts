import { ensureConsumer, leavesBehind, removeConsumer } from "../../../../gateway/nats/consumers.ts";
import { type Delivery, Pull } from "../../../../gateway/nats/pull.ts";
import { sleep } from "../../../../kit/sleep.ts";
import type { EventContext } from "../client/context.ts";
import { dueFilter, EVENT_STREAMS, triggerConsumerName } from "../client/names.ts";

/** Longer than any pause between requests of somebody. */
const INACTIVE_MS = 60 * 60_000;
/** In hand at a time, over all processes; those that wait to be tried again are elsewhere. */
const MAX_PENDING = 20_000;
const MAX_BATCH = 64;
const MEND_MIN_MS = 100;
const MEND_MAX_MS = 5000;
/** What a process that vanished had in hand comes again after one. */
const PATIENCE_ACK_WAITS = 2;

export interface SubscriptionEvents {
  delivered(delivery: Delivery): void;
  /** It can be asked for more. */
  askable(): void;
}

/** The deliveries of one trigger, from its consumer on the server, so that no trigger waits for another one. */
export class TriggerSubscription {
  readonly trigger: string;
  readonly #context: EventContext;
  readonly #events: SubscriptionEvents;
  readonly #pull: Pull;
  readonly #closed = new AbortController();
  #ready = false;
  #mending = false;
  /** When something has come last. */
  #servedAt = performance.now();
  #checkedAt = performance.now();

  constructor(context: EventContext, trigger: string, events: SubscriptionEvents) {
    this.#context = context;
    this.trigger = trigger;
    this.#events = events;
    this.#pull = new Pull(context.link, EVENT_STREAMS.deliveries, triggerConsumerName(trigger), {
      delivered: (delivery) => {
        this.#servedAt = performance.now();
        events.delivered(delivery);
      },
      over: (lost) => {
        if (lost) void this.#mend();
        else events.askable();
      },
    });
    void this.#mend().then(() => this.checkFloor());
  }

  /** Deliveries that may come at any time. */
  get outstanding(): number {
    return this.#pull.outstanding;
  }

  get servedAt(): number {
    return this.#servedAt;
  }

  ask(count: number): void {
    if (!this.#ready || this.#pull.outstanding > 0 || count <= 0 || this.#closed.signal.aborted) return;
    // Short, as closing has to wait for it.
    this.#pull.ask(Math.min(count, MAX_BATCH), this.#context.settings.pollMs);
  }

  /** The connection is a new one: what was asked for over the old one does not come. */
  reconnected(): void {
    this.#pull.reset();
    void this.#mend().then(() => this.checkFloor());
  }

  /** The stream has some, and none comes. */
  starved(): void {
    const now = performance.now();
    const patienceMs = PATIENCE_ACK_WAITS * this.#context.settings.ackWaitMs;
    if (now - this.#servedAt < patienceMs || now - this.#checkedAt < patienceMs) return;
    this.#checkedAt = now;
    void this.checkFloor();
  }

  /** A server that lost power can leave messages behind its consumer, which gives them to nobody then. */
  async checkFloor(): Promise<void> {
    const { link, settings } = this.#context;
    try {
      if (this.#closed.signal.aborted || !link.connected || !(await leavesBehind(link, this.#consumer))) return;
      settings.log.warn({ trigger: this.trigger }, "deliveries that nobody got are given out anew");
      this.#ready = false;
      await removeConsumer(link, this.#consumer);
      await this.#mend();
    } catch (err) {
      settings.log.debug({ err, trigger: this.trigger }, "a consumer could not be looked at");
    }
  }

  /** Resolves when nothing comes any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#pull.close();
  }

  get #consumer() {
    return {
      stream: EVENT_STREAMS.deliveries,
      name: triggerConsumerName(this.trigger),
      subject: dueFilter(this.trigger),
    };
  }

  async #mend(): Promise<void> {
    if (this.#mending) return;
    this.#mending = true;
    this.#ready = false;
    const { signal } = this.#closed;
    const { link, settings } = this.#context;
    for (let waitMs = MEND_MIN_MS; !signal.aborted; waitMs = Math.min(MEND_MAX_MS, waitMs * 2)) {
      try {
        await ensureConsumer(link, {
          ...this.#consumer,
          maxPending: MAX_PENDING,
          ackWaitMs: settings.ackWaitMs,
          inactiveMs: INACTIVE_MS,
        });
        this.#ready = true;
        break;
      } catch (err) {
        settings.log.debug({ err, trigger: this.trigger }, "a consumer cannot be made yet");
        await sleep(waitMs * (0.5 + Math.random()), signal);
      }
    }
    this.#mending = false;
    if (this.#ready && !signal.aborted) this.#events.askable();
  }
}

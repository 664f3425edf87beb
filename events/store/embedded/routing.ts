import type { Logger } from "../../../kit/log.ts";
import { sleep } from "../../../kit/sleep.ts";
import type { BrokerRef, RouteEvents, StoredEvent } from "../event-store.ts";
import type { WireRouting } from "./protocol.ts";
import { eventSeqOf } from "./wire.ts";

export interface RouterPort {
  /** `more` when that are not all. */
  pending(
    broker: number,
    after: number,
    limit: number,
  ): Promise<{ readonly seqs: readonly number[]; readonly more: boolean }>;
  events(seqs: readonly number[]): Promise<ReadonlyMap<number, StoredEvent>>;
  route(broker: number, routings: readonly WireRouting[]): void;
  /** All that the broker had to route is. */
  routed(broker: number): void;
  readonly log: Pick<Logger, "error">;
}

/** Events that are routed at a time. */
const ROUTED_AT_A_TIME = 200;
/** Pause before events are routed again that could not be. */
const RETRY_MS = 250;

/** Gives events to the one who knows the triggers, those of a broker in order, and the answer to the store. */
export class EventRouter {
  readonly #route: RouteEvents;
  readonly #port: RouterPort;
  /** Brokers that are at work, with whether more has come meanwhile. */
  readonly #working = new Map<number, { again: boolean }>();
  readonly #stop = new AbortController();
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(route: RouteEvents, port: RouterPort) {
    this.#route = route;
    this.#port = port;
  }

  /** A broker has events to route. */
  work(broker: number, ref: BrokerRef): void {
    if (this.#stop.signal.aborted) return;
    const working = this.#working.get(broker);
    if (working) working.again = true;
    else void this.#run(broker, ref);
  }

  async #run(broker: number, ref: BrokerRef): Promise<void> {
    const working = { again: true };
    this.#working.set(broker, working);
    // Those before it have been given to the store, though it may not have them on disk yet.
    let after = 0;
    let failing = false;
    while (working.again && !this.#stop.signal.aborted) {
      working.again = false;
      try {
        for (;;) {
          const { seqs, more } = await this.#port.pending(broker, after, ROUTED_AT_A_TIME);
          if (seqs.length > 0) await this.#routeThese(broker, seqs);
          after = seqs.at(-1) ?? after;
          failing = false;
          if (!more || this.#stop.signal.aborted) break;
        }
      } catch (error) {
        if (this.#stop.signal.aborted) break;
        const facts = { err: error, namespace: ref.namespace, broker: ref.name };
        if (!failing) this.#port.log.error(facts, "events could not be routed; this is tried again");
        failing = true;
        await sleep(RETRY_MS, this.#stop.signal);
        working.again = true;
        after = 0;
      }
    }
    this.#working.delete(broker);
    if (!this.#stop.signal.aborted) this.#port.routed(broker);
    if (this.#working.size === 0) this.#idle?.resolve();
  }

  async #routeThese(broker: number, seqs: readonly number[]): Promise<void> {
    const found = await this.#port.events(seqs);
    const events = seqs.flatMap((seq) => found.get(seq) ?? []);
    if (events.length === 0) return;
    const routings = await this.#route(events);
    const wire = routings.flatMap(({ ref, ...routing }) => {
      const seq = eventSeqOf(ref);
      return seq !== undefined && found.has(seq) ? [{ seq, ...routing }] : [];
    });
    if (wire.length < events.length) throw new Error(`${events.length - wire.length} events were not routed`);
    this.#port.route(broker, wire);
  }

  /** Resolves once nothing is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    if (this.#working.size === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }
}

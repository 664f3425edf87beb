import { API_ERRORS, isApiError } from "../../../../gateway/nats/connection.ts";
import { readMessage } from "../../../../gateway/nats/stored-message.ts";
import type { EventContext } from "../client/context.ts";
import { CURSOR_SUBJECT, EVENT_STREAMS, newId } from "../client/names.ts";

/** Where routing has come to, and who goes on from there. */
interface Cursor {
  /** Empty when it has been given back. */
  readonly owner: string;
  /** The others wait so long after they saw it last. */
  readonly leaseMs: number;
  /** Number of the last event that is routed, with all before it, and its name. */
  readonly seq: number;
  readonly ref: string;
}

export interface RoutePlace {
  readonly seq: number;
  readonly ref: string;
}

export const ROUTE_START: RoutePlace = { seq: 0, ref: "" };

/** It stops leading so long before the others may begin: clocks go at different speeds, and what is written takes its time. */
const MARGIN = 0.2;

/**
 * One process routes at a time, so that deliveries come up in order of arrival. The lease is the cursor: whoever moves it
 * has to know its last message, so one that has been overtaken while it slept cannot move it back. Times are of a clock that
 * only goes forward.
 */
export class RouteLease {
  readonly #context: EventContext;
  readonly #owner = newId();
  /** Number of the cursor's last message, as long as that is our own. */
  #own: number | undefined;
  #until = Number.NEGATIVE_INFINITY;
  #seen: { readonly message: number; readonly since: number } | undefined;

  constructor(context: EventContext) {
    this.#context = context;
  }

  get leads(): boolean {
    return this.#own !== undefined && performance.now() < this.#until;
  }

  /** @returns from where to go on, when it is this process's turn */
  async tryToLead(): Promise<RoutePlace | undefined> {
    const message = await readMessage(this.#context.link, EVENT_STREAMS.resources, { last_by_subj: CURSOR_SUBJECT });
    const cursor = message && (JSON.parse(message.data.toString()) as Cursor);
    const now = performance.now();
    if (message && this.#seen?.message !== message.seq) this.#seen = { message: message.seq, since: now };
    const waitMs = Math.max(cursor?.leaseMs ?? 0, this.#context.settings.leaseMs);
    const isFree =
      !cursor || cursor.owner === "" || cursor.owner === this.#owner || now - (this.#seen?.since ?? now) >= waitMs;
    if (!isFree) return undefined;
    const place = cursor ? { seq: cursor.seq, ref: cursor.ref } : ROUTE_START;
    this.#own = message?.seq ?? 0;
    return (await this.move(place)) ? place : undefined;
  }

  /**
   * Moves the cursor, and goes on leading.
   * @returns false when somebody else leads
   * @throws {FaasError} `unavailable`; then it may lead still, for a while
   */
  async move({ seq, ref }: RoutePlace): Promise<boolean> {
    if (this.#own === undefined) return false;
    const { leaseMs } = this.#context.settings;
    const sentAt = performance.now();
    const written = await this.#write({ owner: this.#owner, leaseMs, seq, ref });
    if (written) this.#until = sentAt + leaseMs * (1 - MARGIN);
    return written;
  }

  /** Lets another process go on at once. */
  async giveBack({ seq, ref }: RoutePlace): Promise<void> {
    if (this.#own !== undefined) await this.#write({ owner: "", leaseMs: 0, seq, ref });
    this.lose();
  }

  lose(): void {
    this.#own = undefined;
    this.#seen = undefined;
    this.#until = Number.NEGATIVE_INFINITY;
  }

  async #write(cursor: Cursor): Promise<boolean> {
    const after = this.#own as number;
    try {
      const payload = Buffer.from(JSON.stringify(cursor));
      const { seq } = await this.#context.publisher.publish(CURSOR_SUBJECT, payload, { id: newId(), after });
      this.#own = seq;
      return true;
    } catch (error) {
      if (!isApiError(error, API_ERRORS.wrongLastSequence)) throw error;
      this.lose();
      return false;
    }
  }
}

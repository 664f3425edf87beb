import type { StreamInfo } from "nats";
import { API_ERRORS, isApiError, type Link } from "../../../../gateway/nats/connection.ts";
import { readOne } from "../../../../gateway/nats/direct-get.ts";
import { ensureStream } from "../../../../gateway/nats/ensure-stream.ts";
import { Publisher } from "../../../../gateway/nats/publisher.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { EventCache } from "../../event-cache.ts";
import type { StoredEvent } from "../../event-store.ts";
import type { JetStreamEventsSettings } from "../options.ts";
import { BrokerSettings } from "./broker-settings.ts";
import { type LoggedEvent, readableEvent, storedEvent } from "./event-message.ts";
import { EVENT_STREAMS, parseRef } from "./names.ts";
import { OpenDeliveries } from "./open-deliveries.ts";
import { EventRecords } from "./records.ts";
import { ServerClock } from "./server-clock.ts";
import { buildEventStreams } from "./streams.ts";

const CACHE_BYTES = 32 * 1024 ** 2;
const MAX_UNSTORED = 16_384;
const MAX_UNSTORED_BYTES = 64 * 1024 ** 2;
/** For what a message has beside an event: its headers, what is told of it in its record, base64 of it in an outbox. */
export const OVERHEAD_BYTES = 16 * 1024;
/** Between tries to make streams that are missing. */
const MEND_MS = 1000;
/** A server removes the files of a stream after it has said that the stream is gone. */
const MAKE_TRIES = 6;
const MAKE_WAIT_MS = 500;

/** What all parts of the store work with. */
export class EventContext {
  readonly link: Link;
  readonly settings: JetStreamEventsSettings;
  readonly publisher: Publisher;
  readonly records: EventRecords;
  readonly brokers: BrokerSettings;
  readonly open: OpenDeliveries;
  readonly clock: ServerClock;
  readonly cache = new EventCache<string>(CACHE_BYTES);
  /** When the server made the log. */
  #madeAt: string | undefined;
  #mendedAt = Number.NEGATIVE_INFINITY;

  constructor(link: Link, settings: JetStreamEventsSettings) {
    this.link = link;
    this.settings = settings;
    this.publisher = new Publisher(link, {
      what: "event store",
      timeoutMs: settings.publishTimeoutMs,
      maxUnstored: MAX_UNSTORED,
      maxUnstoredBytes: MAX_UNSTORED_BYTES,
      missing: () => this.mend(),
    });
    this.records = new EventRecords(link, this.publisher);
    this.brokers = new BrokerSettings(link, this.publisher);
    this.clock = new ServerClock(link);
    this.open = new OpenDeliveries(link, this.publisher, this.clock);
  }

  get maxEventBytes(): number {
    return Math.max(1, Math.min(this.settings.maxEventBytes, this.link.maxPayload - OVERHEAD_BYTES));
  }

  /** @throws {Error} when the server cannot have the streams */
  async ensureStreams(): Promise<void> {
    await Promise.all(buildEventStreams(this.settings).map((config) => ensurePatiently(this.link, config)));
    this.#madeAt = (await this.link.api<StreamInfo>(`STREAM.INFO.${EVENT_STREAMS.log}`)).created;
  }

  /** An event with its data; undefined when that is not kept (any more). */
  async event(ref: string): Promise<StoredEvent | undefined> {
    const known = this.cache.get(ref);
    if (known) return known;
    const message = await this.message(ref);
    if (!message) return undefined;
    const event = storedEvent(parseRef(ref)?.seq ?? 0, message.meta, message.data);
    this.cache.set(ref, event);
    return event;
  }

  /** An event's message in the log. */
  async message(ref: string): Promise<LoggedEvent | undefined> {
    const place = parseRef(ref);
    const found = place && (await readOne(this.link, EVENT_STREAMS.log, place.seq));
    if (!found || found.data.byteLength === 0) return undefined;
    const message = readableEvent(found.data);
    return message?.meta.mark === place.mark ? message : undefined;
  }

  /** A server that keeps its streams in memory has lost them when it was started anew. */
  async renewStreams(): Promise<void> {
    const before = this.#madeAt;
    await this.ensureStreams();
    if (before === undefined || before === this.#madeAt) return;
    this.settings.log.warn(
      { storage: this.settings.storage },
      "NATS has lost its streams of events, and what was in them; they have been made anew",
    );
  }

  /** Makes streams that are missing, in the background. */
  mend(): void {
    const now = performance.now();
    if (now - this.#mendedAt < MEND_MS) return;
    this.#mendedAt = now;
    this.renewStreams().catch((err: unknown) =>
      this.settings.log.debug({ err }, "the streams of events cannot be made yet"),
    );
  }
}

async function ensurePatiently(link: Link, config: Parameters<typeof ensureStream>[1]): Promise<void> {
  for (let triesLeft = MAKE_TRIES - 1; ; triesLeft--) {
    try {
      await ensureStream(link, config);
      return;
    } catch (error) {
      if (triesLeft === 0 || !isBeingRemoved(error)) throw error;
      await sleep(MAKE_WAIT_MS);
    }
  }
}

function isBeingRemoved(error: unknown): boolean {
  return isApiError(error, API_ERRORS.createFailed);
}

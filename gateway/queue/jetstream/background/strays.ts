import type { ConsumerInfo, StreamInfo } from "nats";
import { FaasError } from "../../../../contract/errors.ts";
import type { Link } from "../../../nats/connection.ts";
import { clearUp } from "../calls/clear-up.ts";
import { moveOn, moveToKeeper } from "../calls/move.ts";
import { lookUpPast } from "../calls/past.ts";
import { buryUnreadable, leaveNewer } from "../calls/unreadable.ts";
import { listConsumers } from "../client/consumers.ts";
import { BATCHES_FILTER, batchOf, type Lane, parseLane, queueStream, STREAMS, UNKNOWN_LANE } from "../client/names.ts";
import { deleteMessage, readMessage, type StoredMessage } from "../client/stored-message.ts";
import { decodeCall, idOf, type StoredCall } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import { bucketFilter, laneOfLater } from "../store/later-bucket.ts";
import { NewerFormError } from "../store/wire-fields.ts";

const MIN_PAUSE_MS = 3000;
/** The pause after a pass over a stream, in times that it took. */
const PAUSE_FACTOR = 10;

/** A consumer gives out nothing of what it has, though nobody has it in hand: all of its messages are strays. */
export interface Silence {
  /** Of the consumer. */
  readonly filter: string;
  /** Asked for each message, as a look may begin late and take long, and calls in hand must be left alone. */
  lasts(): boolean;
}

interface Wish {
  /** By their filters. */
  readonly silences: Map<string, Silence>;
  timer?: NodeJS.Timeout;
}

/**
 * Takes care of messages that their consumer gives to nobody. A server that is killed can forget what it deleted last,
 * or what it delivered, while its consumer remembers the acknowledgements. The record of a call tells which: those
 * that are over are deleted, all others are given a message anew. Streams are read message by message: by subject,
 * servers (2.9.10) do not find the ones that they have forgotten to delete.
 */
export class StraySweeper {
  readonly #context: Context;
  readonly #wishes = new Map<string, Wish>();
  readonly #sweeping = new Set<string>();
  /** By the monotonic clock. */
  readonly #notBefore = new Map<string, number>();
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Has all streams looked through. */
  sweepAll(): void {
    clearTimeout(this.#again);
    this.#context.queues().then(
      (queues) => {
        for (const stream of [...queues.map(queueStream), STREAMS.later, STREAMS.batches]) this.sweep(stream);
      },
      (err: unknown) => {
        this.#context.settings.log.debug({ err }, "the queues cannot be listed yet");
        if (!this.#closed) this.#again = setTimeout(() => this.sweepAll(), MIN_PAUSE_MS);
      },
    );
  }

  /** Has a stream looked through, soon but not too often. */
  sweep(stream: string, silence?: Silence): void {
    this.#wish(stream, silence ? [silence] : []);
    this.#schedule(stream);
  }

  #wish(stream: string, silences: Iterable<Silence>): void {
    const wish = this.#wishes.get(stream) ?? { silences: new Map() };
    for (const silence of silences) wish.silences.set(silence.filter, silence);
    this.#wishes.set(stream, wish);
  }

  #schedule(stream: string): void {
    const wish = this.#wishes.get(stream);
    if (!wish || wish.timer || this.#closed || this.#sweeping.has(stream)) return;
    const waitMs = Math.max(0, (this.#notBefore.get(stream) ?? 0) - performance.now());
    wish.timer = setTimeout(() => void this.#run(stream, wish.silences), waitMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
    for (const { timer } of this.#wishes.values()) clearTimeout(timer);
    this.#wishes.clear();
  }

  async #run(stream: string, silences: Wish["silences"]): Promise<void> {
    const { log } = this.#context.settings;
    this.#wishes.delete(stream);
    this.#sweeping.add(stream);
    const startedAt = performance.now();
    let pauseMs = MIN_PAUSE_MS;
    try {
      const { revived, failed } = await this.#pass(stream, silences);
      if (revived > 0) log.warn({ stream, calls: revived }, "calls that were stuck are queued anew");
      if (failed > 0) this.#wish(stream, silences.values());
      pauseMs = Math.max(pauseMs, PAUSE_FACTOR * (performance.now() - startedAt));
    } catch (err) {
      log.debug({ err, stream }, "calls that are stuck cannot be looked for yet");
      this.#wish(stream, silences.values());
    }
    this.#sweeping.delete(stream);
    this.#notBefore.set(stream, performance.now() + pauseMs);
    this.#schedule(stream);
  }

  /** @returns how many calls go on, and how many could not be settled */
  async #pass(stream: string, silences: Wish["silences"]): Promise<{ revived: number; failed: number }> {
    const { link, settings } = this.#context;
    const floors = ackFloors(await listConsumers(link, stream));
    // What comes later, this look's own messages among it, is not meant.
    const last = silences.size > 0 ? await lastSeq(link, stream) : 0;
    const until = Math.max(last, ...floors.values());
    let revived = 0;
    let failed = 0;
    for (let seq = 1; seq <= until && !this.#closed; ) {
      const message = await readMessage(link, stream, { seq, next_by_subj: ">" });
      if (!message) break;
      seq = message.seq + 1;
      const filter = filterOf(stream, message.subject);
      const isBehind = message.seq <= (floors.get(filter) ?? 0);
      if (!isBehind && !(message.seq <= last && silences.get(filter)?.lasts())) continue;
      try {
        if (await this.#settle(stream, message)) revived++;
      } catch (err) {
        if (err instanceof FaasError && err.kind === "unavailable") throw err;
        // Its queue is full, for example; those behind it may have room in theirs.
        settings.log.debug({ err, stream, seq: message.seq }, "a call that is stuck cannot be queued anew yet");
        failed++;
      }
    }
    return { revived, failed };
  }

  /** @returns whether the call goes on */
  async #settle(stream: string, { seq, data, subject, storedAt }: StoredMessage): Promise<boolean> {
    const { link } = this.#context;
    let stored: StoredCall;
    try {
      stored = decodeCall(data);
    } catch (error) {
      const lane = laneOfMessage(stream, subject);
      if (error instanceof NewerFormError) {
        leaveNewer(this.#context, error, lane);
        return false;
      }
      const batch = stream === STREAMS.batches ? { id: batchOf(subject) } : {};
      await buryUnreadable(this.#context, error, { stream, seq, data, storedAt, lane, ...batch });
      await deleteMessage(link, stream, seq);
      return false;
    }
    const id = idOf(stored, seq, this.#context.ids);
    const place = { stream, seq };
    const past = await lookUpPast(this.#context, id, place, stored);
    if (past.kind === "ended") await clearUp(this.#context, { id, stored, record: past.record });
    if (past.kind === "open") {
      const revive = stream === STREAMS.batches ? moveToKeeper : moveOn;
      await revive(this.#context, { id, place, stored, open: past.record });
    }
    await deleteMessage(link, stream, seq);
    return past.kind === "open";
  }
}

/** Up to there all messages have been acknowledged, by the consumer's filter. */
function ackFloors(consumers: readonly ConsumerInfo[]): Map<string, number> {
  return new Map(
    consumers.flatMap(({ config, ack_floor }) =>
      config.filter_subject === undefined ? [] : [[config.filter_subject, ack_floor.stream_seq]],
    ),
  );
}

async function lastSeq(link: Link, stream: string): Promise<number> {
  return (await link.api<StreamInfo>(`STREAM.INFO.${stream}`)).state.last_seq;
}

function laneOfMessage(stream: string, subject: string): Lane {
  return stream === STREAMS.later ? laneOfLater(subject) : (parseLane(subject) ?? UNKNOWN_LANE);
}

/** Of the consumer that gives out messages of a subject. */
function filterOf(stream: string, subject: string): string {
  if (stream === STREAMS.batches) return BATCHES_FILTER;
  return stream === STREAMS.later ? bucketFilter(subject.split(".", 3)[2] as string) : subject;
}

import type { ConsumerInfo } from "nats";
import { decodeCall, idOf, type StoredCall } from "./call-codec.ts";
import { listConsumers } from "./consumers.ts";
import type { Context } from "./context.ts";
import { bucketFilter } from "./later-bucket.ts";
import { moveOn, moveToKeeper } from "./move.ts";
import { BATCHES_FILTER, queueStream, STREAMS } from "./names.ts";
import { lookUpPast } from "./past.ts";
import { deleteMessage, readMessage, type StoredMessage } from "./stored-message.ts";

const MIN_PAUSE_MS = 3000;
/** The pause after a pass over a stream, in times that it took. */
const PAUSE_FACTOR = 10;

interface Wish {
  /** Filters of consumers whose messages are all strays. */
  readonly silent: Set<string>;
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
  #closed = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Has all streams looked through. */
  sweepAll(): void {
    this.#context.queues().then(
      (queues) => {
        for (const stream of [...queues.map(queueStream), STREAMS.later, STREAMS.batches]) this.sweep(stream);
      },
      (err: unknown) => this.#context.settings.log.debug({ err }, "the queues cannot be listed"),
    );
  }

  /**
   * Has a stream looked through, soon but not too often.
   * @param silent filter of a consumer that gives out nothing of what it has, though nobody has it in hand
   */
  sweep(stream: string, silent?: string): void {
    this.#wish(stream, silent === undefined ? [] : [silent]);
    this.#schedule(stream);
  }

  #wish(stream: string, silent: Iterable<string>): void {
    const wish = this.#wishes.get(stream) ?? { silent: new Set() };
    for (const filter of silent) wish.silent.add(filter);
    this.#wishes.set(stream, wish);
  }

  #schedule(stream: string): void {
    const wish = this.#wishes.get(stream);
    if (!wish || wish.timer || this.#closed || this.#sweeping.has(stream)) return;
    const waitMs = Math.max(0, (this.#notBefore.get(stream) ?? 0) - performance.now());
    wish.timer = setTimeout(() => void this.#run(stream, wish.silent), waitMs);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#wishes.values()) clearTimeout(timer);
    this.#wishes.clear();
  }

  async #run(stream: string, silent: ReadonlySet<string>): Promise<void> {
    const { log } = this.#context.settings;
    this.#wishes.delete(stream);
    this.#sweeping.add(stream);
    const startedAt = performance.now();
    let pauseMs = MIN_PAUSE_MS;
    try {
      const revived = await this.#pass(stream, silent);
      if (revived > 0) log.warn({ stream, calls: revived }, "calls that were stuck are queued anew");
      pauseMs = Math.max(pauseMs, PAUSE_FACTOR * (performance.now() - startedAt));
    } catch (err) {
      log.debug({ err, stream }, "calls that are stuck cannot be looked for yet");
      this.#wish(stream, silent);
    }
    this.#sweeping.delete(stream);
    this.#notBefore.set(stream, performance.now() + pauseMs);
    this.#schedule(stream);
  }

  /** @returns how many calls go on */
  async #pass(stream: string, silent: ReadonlySet<string>): Promise<number> {
    const { link } = this.#context;
    const floors = ackFloors(await listConsumers(link, stream));
    for (const filter of silent) floors.set(filter, Number.POSITIVE_INFINITY);
    const until = Math.max(0, ...floors.values());
    let revived = 0;
    for (let seq = 1; seq <= until && !this.#closed; ) {
      const message = await readMessage(link, stream, { seq, next_by_subj: ">" });
      if (!message) break;
      const floor = floors.get(filterOf(stream, message.subject)) ?? 0;
      if (message.seq <= floor && (await this.#settle(stream, message))) revived++;
      seq = message.seq + 1;
    }
    return revived;
  }

  /** @returns whether the call goes on */
  async #settle(stream: string, { seq, data }: StoredMessage): Promise<boolean> {
    const { link, settings } = this.#context;
    let stored: StoredCall;
    try {
      stored = decodeCall(data);
    } catch (err) {
      settings.log.error({ err, stream, seq }, "a stored call cannot be read");
      await deleteMessage(link, stream, seq);
      return false;
    }
    const id = idOf(stored, seq);
    const place = { stream, seq };
    const past = await lookUpPast(this.#context, id, place, stored);
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

/** Of the consumer that gives out messages of a subject. */
function filterOf(stream: string, subject: string): string {
  if (stream === STREAMS.batches) return BATCHES_FILTER;
  return stream === STREAMS.later ? bucketFilter(subject.split(".", 3)[2] as string) : subject;
}

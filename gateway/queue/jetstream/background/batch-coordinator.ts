import { randomUUID } from "node:crypto";
import { sleep } from "../../../../kit/sleep.ts";
import { within } from "../../../../kit/within.ts";
import { ensureConsumer, leavesBehind, openReader, removeConsumer } from "../../../nats/consumers.ts";
import { acknowledge, type Delivery, giveBack, Pull, stillWorking } from "../../../nats/pull.ts";
import { purgeSubject, readMessage } from "../../../nats/stored-message.ts";
import type { BatchProgress, ConsumeOptions, FinishedMember } from "../../queue.ts";
import { dropMembers } from "../calls/cancel.ts";
import { handleUnreadable } from "../calls/unreadable.ts";
import { BATCHES_FILTER, batchOf, memberResultSubject, membersOf, STREAMS, UNKNOWN_QUEUE } from "../client/names.ts";
import { decodeMemberEnd, finishedMember, type MemberEnd } from "../store/batch-members.ts";
import { decodeCall, functionQueueOf, queuedCall, type StoredCall } from "../store/call-codec.ts";
import { emptyProgress, waitingRecord } from "../store/record.ts";
import { UnreadableError } from "../store/wire-fields.ts";
import type { WorkerContext } from "./worker-context.ts";

const PLACE = { stream: STREAMS.batches, name: "keeper", subject: BATCHES_FILTER };
const MAX_PENDING = 256;
const INACTIVE_MS = 3_600_000;
const MEND_MS = 1000;
/** How often the progress of a batch is written down. */
const PROGRESS_MS = 250;
/** How often a batch without news is looked up, as it can be cancelled while it comes here. */
const LOOK_MS = 5000;
const READ_BATCH = 256;
const READ_WAIT_MS = 5000;
const MIN_TELL_WAIT_MS = 500;
const MAX_TELL_WAIT_MS = 30_000;
const READ_AHEAD = 16;

/** Holds batches until all of their members have ended, then tells so. Each batch is in the hands of one process. */
export class BatchCoordinator {
  readonly #context: WorkerContext;
  readonly #finishBatch: ConsumeOptions["finishBatch"];
  readonly #held = new Map<number, HeldBatch>();
  readonly #off: (() => void)[] = [];
  readonly #stop = new AbortController();
  #pull: Pull | undefined;

  constructor(context: WorkerContext, finishBatch: ConsumeOptions["finishBatch"]) {
    this.#context = context;
    this.#finishBatch = finishBatch;
  }

  start(): void {
    const { link, settings } = this.#context;
    this.#pull = new Pull(link, STREAMS.batches, PLACE.name, {
      delivered: (delivery) => {
        this.#take(delivery);
        this.#ask();
      },
      over: (lost) => (lost ? void this.#mend() : this.#ask()),
    });
    const working = setInterval(() => {
      for (const { delivery } of this.#held.values()) stillWorking(link, delivery);
    }, settings.ackWaitMs / 3);
    this.#off.push(
      () => clearInterval(working),
      link.onReconnect(() => {
        this.#pull?.reset();
        void this.#mend();
      }),
    );
    void this.#mend();
  }

  async close(): Promise<void> {
    // What is given back while there is a request under way would come back here.
    await this.#pull?.close();
    this.#stop.abort();
    await Promise.all([...this.#held.values()].map((batch) => batch.ended));
    for (const off of this.#off) off();
  }

  async #mend(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await ensureConsumer(this.#context.link, {
          ...PLACE,
          maxPending: MAX_PENDING,
          ackWaitMs: this.#context.settings.ackWaitMs,
          inactiveMs: INACTIVE_MS,
        });
        // The server may have been started anew, and batches have nobody else who misses them.
        if (!(await leavesBehind(this.#context.link, PLACE))) return this.#ask();
        // With no request under way, which would be told before it is gone: see `FunctionSubscription`.
        await removeConsumer(this.#context.link, PLACE);
      } catch (err) {
        this.#context.settings.log.debug({ err }, "batches cannot be read yet");
        await sleep(MEND_MS, this.#stop.signal);
      }
    }
  }

  #ask(): void {
    if (!this.#stop.signal.aborted && this.#pull?.outstanding === 0) this.#pull.ask(1, this.#context.settings.pollMs);
  }

  #take(delivery: Delivery): void {
    const known = this.#held.get(delivery.seq);
    if (known) {
      known.delivery = delivery;
      return;
    }
    let batch: HeldBatch;
    try {
      batch = new HeldBatch(this.#context, delivery, this.#finishBatch, this.#stop.signal);
    } catch (err) {
      void this.#handleUnreadable(err, delivery);
      return;
    }
    this.#held.set(delivery.seq, batch);
    batch.start();
    void batch.ended.then(() => this.#held.delete(delivery.seq));
  }

  /** Its record tells whom it is for, as its subject does not. */
  async #handleUnreadable(error: unknown, delivery: Delivery): Promise<void> {
    const id = batchOf(delivery.subject);
    const open = await this.#context.records.findOpen(id).catch(() => undefined);
    await handleUnreadable(this.#context, error, delivery, {
      functionQueue: open ? functionQueueOf(open) : UNKNOWN_QUEUE,
      id,
    });
  }
}

class HeldBatch {
  delivery: Delivery;
  readonly #context: WorkerContext;
  readonly #stored: StoredCall;
  readonly #id: string;
  readonly #size: number;
  readonly #finishBatch: ConsumeOptions["finishBatch"];
  readonly #stop: AbortSignal;
  readonly #ends = new Map<number, MemberEnd>();
  readonly #ended = Promise.withResolvers<void>();
  #changed = Promise.withResolvers<void>();

  /** @throws {UnreadableError} for a message that holds no batch @throws {NewerFormError} */
  constructor(
    context: WorkerContext,
    delivery: Delivery,
    finishBatch: ConsumeOptions["finishBatch"],
    stop: AbortSignal,
  ) {
    this.#context = context;
    this.delivery = delivery;
    this.#stored = decodeCall(delivery.data);
    const { id, call } = this.#stored;
    if (id === undefined || call.batch?.kind !== "whole") throw new UnreadableError("it holds no batch");
    this.#id = id;
    this.#size = call.batch.size;
    this.#finishBatch = finishBatch;
    this.#stop = stop;
  }

  /** It is over, or in other hands. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  start(): void {
    this.#keep().then(
      () => this.#ended.resolve(),
      (err: unknown) => {
        this.#context.settings.log.warn({ err, callId: this.#id }, "a batch cannot be kept; it is handed back");
        giveBack(this.#context.link, this.delivery);
        this.#ended.resolve();
      },
    );
  }

  async #keep(): Promise<void> {
    const { link, records } = this.#context;
    if (await this.#overAlready()) return;
    const onStop = () => this.#changed.resolve();
    this.#stop.addEventListener("abort", onStop);
    try {
      await this.#countAll();
    } finally {
      this.#stop.removeEventListener("abort", onStop);
    }
    if (!this.#stop.aborted && (await this.#overAlready())) return;
    if (this.#stop.aborted || !(await this.#tell())) {
      giveBack(link, this.delivery);
      return;
    }
    const { location: _, nextAttemptAt: _n, ...before } = await this.#open();
    await records.finish({
      ...before,
      state: (await records.isMarkedCancelled(this.#id)) ? "cancelled" : "done",
      attempts: this.#stored.attempts + 1,
      finishedAt: Date.now(),
      batch: this.#progress(),
    });
    acknowledge(link, this.delivery);
    await this.#cleanUp();
  }

  /** Its end was stored before: by who kept it and vanished, or as it was cancelled while its members were published. */
  async #overAlready(): Promise<boolean> {
    const finished = await this.#context.records.findFinished(this.#id);
    if (!finished) return false;
    if (finished.state === "cancelled") await dropMembers(this.#context, this.#id);
    await this.#cleanUp();
    acknowledge(this.#context.link, this.delivery);
    return true;
  }

  /** Reads what becomes of members until all have ended or the batch itself has, writing the progress down now and then. */
  async #countAll(): Promise<void> {
    while (this.#ends.size < this.#size && !this.#stop.aborted) {
      const reader = await this.#openReader();
      try {
        while (this.#ends.size < this.#size && !this.#stop.aborted && !reader.lost) {
          if (
            !(await within(
              LOOK_MS,
              this.#changed.promise.then(() => true),
            ))
          ) {
            if (await this.#context.records.findFinished(this.#id)) return;
            continue;
          }
          this.#changed = Promise.withResolvers();
          await this.#writeProgress();
          await sleep(PROGRESS_MS, this.#stop);
        }
      } finally {
        await reader.close();
      }
    }
  }

  async #openReader() {
    const name = `batch-${randomUUID()}`;
    const { link } = this.#context;
    const subject = `FAASLANE.member.${this.#id}.ended.*`;
    const state = { lost: false };
    const pull = new Pull(link, STREAMS.members, name, {
      delivered: (message) => {
        this.#count(message);
        if (pull.outstanding === 0) pull.ask(READ_BATCH, READ_WAIT_MS);
      },
      over: (lost) => {
        if (!lost) pull.ask(READ_BATCH, READ_WAIT_MS);
        if (pull.outstanding > 0) return;
        state.lost = true;
        this.#changed.resolve();
      },
    });
    await openReader(link, STREAMS.members, name, { subject });
    pull.ask(READ_BATCH, READ_WAIT_MS);
    return {
      get lost() {
        return state.lost;
      },
      close: async () => {
        await pull.leave();
        await link.api(`CONSUMER.DELETE.${STREAMS.members}.${name}`).catch(() => undefined); // vanishes by itself, too
      },
    };
  }

  #count({ subject, data }: Delivery): void {
    const index = Number(subject.slice(subject.lastIndexOf(".") + 1));
    if (!(index >= 0 && index < this.#size)) return;
    this.#ends.set(index, decodeMemberEnd(data));
    this.#changed.resolve();
  }

  #progress(): BatchProgress {
    const counts = { ...emptyProgress(this.#size) };
    for (const { state } of this.#ends.values()) (counts as Record<string, number>)[state] = counts[state] + 1;
    return counts;
  }

  async #open() {
    return (await this.#context.records.findOpen(this.#id)) ?? waitingRecord(this.#stored, this.#id);
  }

  async #writeProgress(): Promise<void> {
    const open = await this.#open();
    await this.#context.records.putOpen({ ...open, state: "running", batch: this.#progress() });
  }

  /** @returns whether it has been told; not when this process stops before */
  async #tell(): Promise<boolean> {
    if (!this.#finishBatch) return true;
    const whole = queuedCall(this.#stored, this.#id, new Uint8Array());
    const progress = this.#progress();
    let { failures = 0 } = await this.#open();
    for (let waitMs = MIN_TELL_WAIT_MS; ; waitMs = Math.min(MAX_TELL_WAIT_MS, waitMs * 2)) {
      try {
        await this.#finishBatch({ whole, progress, failures, members: () => this.#members() });
        return true;
      } catch (err) {
        if (this.#stop.aborted) return false;
        failures++;
        await this.#noteFailures(failures);
        this.#context.settings.log.warn({ err, callId: this.#id }, "the end of a batch could not be told yet");
        await sleep(waitMs, this.#stop);
        if (this.#stop.aborted) return false;
      }
    }
  }

  /** For whoever tells it next, should this process vanish. */
  async #noteFailures(failures: number): Promise<void> {
    const { records, settings } = this.#context;
    const noting = this.#open().then((open) => records.putOpen({ ...open, failures }));
    await noting.catch((err: unknown) => settings.log.debug({ err, callId: this.#id }, "a failure could not be noted"));
  }

  /** In the order of the lines, some of them read ahead. */
  async *#members(): AsyncGenerator<FinishedMember> {
    const ahead: Promise<FinishedMember>[] = [];
    for (let index = 0; index < this.#size + READ_AHEAD; index++) {
      if (index < this.#size) {
        const reading = this.#member(index);
        reading.catch(() => undefined); // thrown when its turn comes
        ahead.push(reading);
      }
      if (index >= READ_AHEAD - 1 && ahead.length > 0) yield (await ahead.shift()) as FinishedMember;
    }
    while (ahead.length > 0) yield (await ahead.shift()) as FinishedMember;
  }

  async #member(index: number): Promise<FinishedMember> {
    const end = this.#ends.get(index) as MemberEnd;
    if (end.large !== undefined) {
      const outcome = (await this.#context.records.findFinished(end.large))?.outcome;
      return { ...finishedMember(index, end, undefined), ...(outcome && { outcome }) };
    }
    if (!end.headers) return finishedMember(index, end, undefined);
    const subject = memberResultSubject(this.#id, index);
    const message = await readMessage(this.#context.link, STREAMS.members, { last_by_subj: subject });
    return finishedMember(index, end, message?.data);
  }

  async #cleanUp(): Promise<void> {
    const { link, records } = this.#context;
    await Promise.all([
      purgeSubject(link, STREAMS.members, membersOf(this.#id)),
      records.removeOpen(this.#id),
      records.removeMark(this.#id),
    ]);
  }
}

import type { Worker } from "node:worker_threads";
import { FaasError } from "../../provider/contract/errors.ts";
import type { Logger } from "../../provider/kit/log.ts";
import { EmbeddedConsumer } from "./embedded-consumer.ts";
import { EmbeddedDeadLetters } from "./embedded-dead-letters.ts";
import { CallIds } from "./embedded-ids.ts";
import { EmbeddedOutbox } from "./embedded-outbox.ts";
import {
  type Answers,
  type Ask,
  type AskKind,
  type AskOf,
  type CallName,
  encodeMeta,
  type FromWorker,
  functionOf,
  keyOf,
  queueOf,
  refOf,
  type ToWorker,
} from "./embedded-protocol.ts";
import { toOutcome } from "./embedded-settlement.ts";
import type {
  CallState,
  CallStatus,
  ConsumeOptions,
  Consumer,
  DeadLetters,
  Deliver,
  FinishedMember,
  NewCall,
  Outcome,
  Queue,
  QueueStats,
  Receipt,
} from "./queue.ts";

export interface EmbeddedQueueContext {
  readonly startThread: () => Worker;
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  readonly maxUnstoredBytes: number;
  readonly restartWaitsMs: readonly number[];
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  readonly onFailure?: (error: Error) => void;
}

/** A thread that has lived this long has got over what its predecessor died of. */
const HEALTHY_MS = 60_000;

/** The queue as its callers see it: speaks with the thread that has the file, and starts another when that dies. */
export class EmbeddedQueue implements Queue {
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  readonly deadLetters: DeadLetters;
  readonly opened: Promise<void>;
  readonly #context: EmbeddedQueueContext;
  readonly #outbox = new EmbeddedOutbox((batch) => this.#post(batch, [batch.bodies]));
  readonly #questions = new Map<number, PromiseWithResolvers<Answers[AskKind]>>();
  #lastQuestion = 0;
  #thread!: Worker;
  #exited!: Promise<void>;
  #ids!: CallIds;
  #consumer: { readonly consumer: EmbeddedConsumer; readonly options: ConsumeOptions } | undefined;
  #closing: Promise<void> | undefined;
  /** Why nothing can be done, for now or for good. */
  #failure: FaasError | undefined;
  #deaths = 0;
  #openedAt = 0;
  #restart: NodeJS.Timeout | undefined;
  readonly #opening = Promise.withResolvers<void>();
  #wasOpen = false;

  constructor(context: EmbeddedQueueContext) {
    this.#context = context;
    this.maxBodyBytes = context.maxBodyBytes;
    this.maxResultBytes = context.maxResultBytes;
    this.deadLetters = new EmbeddedDeadLetters(
      (ask) => this.#ask(ask),
      () => this.#ids,
    );
    this.opened = this.#opening.promise;
    this.#start();
  }

  #start(): void {
    const thread = this.#context.startThread();
    this.#thread = thread;
    this.#exited = new Promise((resolve) => thread.once("exit", () => resolve()));
    // What a thread says that has been given up is of no interest.
    const current = () => this.#thread === thread && !this.#restart;
    thread.on("message", (message: FromWorker) => {
      if (current()) this.#receive(message);
    });
    thread.on("error", (error) => {
      if (current()) this.#died(error);
    });
    thread.on("exit", (code) => {
      if (current() && !this.#closing) this.#died(new Error(`the queue's thread ended with code ${code}`));
    });
  }

  async publish(call: NewCall): Promise<Receipt> {
    const refused = this.#failure ?? this.#refuse(call);
    if (refused) throw refused;
    const { batch, callId, idempotencyKey, notBefore, notAfter } = call;
    const member = batch?.kind === "member" ? this.#memberOf(batch) : undefined;
    const stored = await this.#outbox.publish(
      {
        key: keyOf(call),
        acceptedAt: call.acceptedAt,
        meta: encodeMeta(call),
        ...(callId !== undefined && { callId }),
        ...(idempotencyKey !== undefined && { idempotencyKey }),
        ...(notBefore !== undefined && { notBefore }),
        ...(notAfter !== undefined && { notAfter }),
        ...(call.callbackUrl !== undefined && { tellExpiry: true }),
        ...(batch?.kind === "whole" && { wholeSize: batch.size }),
        ...(member && { member }),
      },
      call.body,
    );
    const id = this.#ids.encode(stored.seq);
    const known = stored.duplicate ? stored.callId : callId;
    return { id, callId: known ?? id, duplicate: stored.duplicate };
  }

  #memberOf({ of, index }: { readonly of: string; readonly index: number }): { whole: number; index: number } {
    const whole = this.#ids.decode(of);
    if (whole === undefined) throw new FaasError("invalid", "batch.of: must be the id of a batch");
    return { whole, index };
  }

  #refuse({ body }: NewCall): FaasError | undefined {
    if (this.#closing) return new FaasError("unavailable", "the queue is closed");
    if (body.byteLength > this.maxBodyBytes) {
      return new FaasError("tooLarge", `request body is too large, maximum: ${this.maxBodyBytes} bytes`);
    }
    const { unstoredBytes } = this.#outbox;
    if (unstoredBytes > 0 && unstoredBytes + body.byteLength > this.#context.maxUnstoredBytes) {
      return new FaasError("overloaded", "the queue is busy: too much waits for the disk");
    }
    return undefined;
  }

  async consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer> {
    if (this.#failure) throw this.#failure;
    if (this.#closing) throw new FaasError("unavailable", "the queue is closed");
    if (this.#consumer) throw new FaasError("conflict", "the embedded queue has a consumer already");
    const consumer = new EmbeddedConsumer(deliver, options, {
      ids: this.#ids,
      maxResultBytes: this.maxResultBytes,
      log: this.#context.log,
      port: {
        settle: (settlement) => {
          if (!this.#failure) this.#outbox.settle(settlement);
        },
        limits: (limits) => this.#post({ kind: "limits", limits }),
        pause: () => {
          if (this.#failure) consumer.settled();
          else this.#post({ kind: "pause" });
        },
        members: (whole) => this.#members(whole),
        closed: () => {
          this.#consumer = undefined;
        },
      },
    });
    this.#consumer = { consumer, options };
    this.#postConsume(options);
    return consumer;
  }

  #postConsume({ concurrency, queues }: ConsumeOptions): void {
    this.#post({ kind: "consume", concurrency, ...(queues && { queues: [...queues] }) });
  }

  async find(id: string): Promise<CallStatus | undefined> {
    const found = await this.#ask({ kind: "find", of: this.#nameOf(id) });
    if (!found) return undefined;
    const { seq, key, callId, ...status } = found;
    const own = this.#ids.encode(seq);
    const { name, namespace } = refOf(functionOf(key));
    return { id: own, callId: callId ?? own, queue: queueOf(key), function: name, namespace, ...status };
  }

  async result(id: string): Promise<Outcome | undefined> {
    const outcome = await this.#ask({ kind: "result", of: this.#nameOf(id) });
    return outcome && toOutcome(outcome);
  }

  async cancel(id: string): Promise<CallState | undefined> {
    return await this.#ask({ kind: "cancel", of: this.#nameOf(id) });
  }

  async stats(): Promise<QueueStats> {
    return await this.#ask({ kind: "stats" });
  }

  #nameOf(id: string): CallName {
    const seq = this.#ids.decode(id);
    return seq === undefined ? { callId: id } : { seq };
  }

  async *#members(whole: number): AsyncGenerator<FinishedMember> {
    for (let after = -1; ; ) {
      const page = await this.#ask({ kind: "members", whole, after });
      for (const { outcome, ...member } of page) {
        yield { ...member, ...(outcome && { outcome: toOutcome(outcome) }) };
        after = member.index;
      }
      if (page.length === 0) return;
    }
  }

  async #ask<K extends AskKind>(ask: AskOf<K>): Promise<Answers[K]> {
    if (this.#failure) throw this.#failure;
    if (this.#closing) throw new FaasError("unavailable", "the queue is closed");
    const question = ++this.#lastQuestion;
    const answer = Promise.withResolvers<Answers[AskKind]>();
    this.#questions.set(question, answer);
    this.#post({ kind: "ask", question, ask: ask as Ask });
    return (await answer.promise) as Answers[K];
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#restart);
    this.#outbox.flush();
    if (!this.#failure) this.#post({ kind: "close" });
    await this.#exited;
    this.#consumer?.consumer.settled();
    this.#abandon(new FaasError("unavailable", "the queue is closed"));
  }

  #post(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#thread.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "opened":
        this.#onOpened(message.key);
        break;
      case "refusedToOpen":
        this.#onRefused(new Error(message.message));
        break;
      case "stored":
        this.#outbox.stored(message);
        break;
      case "deliver":
        for (const call of message.calls) {
          if (this.#consumer) this.#consumer.consumer.start(call);
          else this.#outbox.settle({ seq: call.seq, kind: "back" });
        }
        break;
      case "abort":
        this.#consumer?.consumer.abort(message.calls);
        break;
      case "tell":
        this.#consumer?.consumer.tell(message.batches);
        break;
      case "limitsWanted":
        this.#consumer?.consumer.limitsWanted(message.functions);
        break;
      case "idle":
        this.#consumer?.consumer.settled();
        break;
      case "answer":
        this.#questions.get(message.question)?.resolve(message.value);
        this.#questions.delete(message.question);
        break;
      case "noAnswer": {
        const { kind, message: text } = message.refusal;
        this.#questions.get(message.question)?.reject(new FaasError(kind, text));
        this.#questions.delete(message.question);
        break;
      }
      case "log":
        this.#context.log[message.level](message.facts, message.message);
        break;
      case "closed":
        break;
    }
  }

  #onOpened(key: Uint8Array): void {
    this.#ids = new CallIds(key);
    this.#openedAt = performance.now();
    this.#opening.resolve();
    if (!this.#wasOpen) {
      this.#wasOpen = true;
      return;
    }
    this.#failure = undefined;
    this.#context.log.info({}, "the queue works again");
    if (this.#consumer) this.#postConsume(this.#consumer.options);
  }

  #onRefused(error: Error): void {
    if (this.#wasOpen) {
      this.#died(error);
      return;
    }
    this.#closing = this.#exited;
    this.#opening.reject(error);
  }

  /** The thread is gone, and with it what had been handed to it and was not on disk. */
  #died(cause: Error): void {
    this.#failure = new FaasError("unavailable", "the queue has failed", { cause });
    this.#abandon(this.#failure);
    if (!this.#wasOpen) {
      this.#closing = this.#exited;
      this.#opening.reject(cause);
      return;
    }
    if (performance.now() - this.#openedAt > HEALTHY_MS) this.#deaths = 0;
    const waitMs = this.#context.restartWaitsMs[this.#deaths++];
    if (waitMs === undefined || this.#closing) {
      this.#giveUp(cause);
      return;
    }
    this.#context.log.error({ err: cause, waitMs }, "the queue has failed; it is started again");
    const stopped = this.#consumer?.consumer.interrupt();
    this.#restart = setTimeout(async () => {
      // Two may not have the file, and no call is to run twice at the same time.
      await Promise.all([this.#thread.terminate(), stopped]);
      this.#restart = undefined;
      if (!this.#closing) this.#start();
    }, waitMs);
  }

  #giveUp(cause: Error): void {
    this.#consumer?.consumer.settled();
    this.#context.log.error({ err: cause }, "the queue has failed for good");
    this.#context.onFailure?.(cause);
  }

  /** Lets nobody wait for an answer that will not come. */
  #abandon(error: FaasError): void {
    this.#outbox.abandon(error);
    for (const { reject } of this.#questions.values()) reject(error);
    this.#questions.clear();
  }
}

import { FaasError } from "../../../contract/errors.ts";
import type { FunctionRef } from "../../../contract/functions.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import { DatabaseThread, type DatabaseThreadOptions } from "../../../kit/database-thread.ts";
import type { Logger } from "../../../kit/log.ts";
import { fingerprintWithBody } from "../../core/request-fingerprint.ts";
import type {
  CallbackRequest,
  CallFilter,
  CallPage,
  CallRequest,
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
  Receipt,
} from "../queue.ts";
import type { QueueStats } from "../stats.ts";
import { SealedCallIds } from "./call-ids.ts";
import { encodeMeta } from "./call-meta.ts";
import { EmbeddedConsumer } from "./consumer.ts";
import { EmbeddedDeadLetters } from "./dead-letters.ts";
import { EmbeddedInspector } from "./inspector.ts";
import { EmbeddedOutbox } from "./outbox.ts";
import {
  type Answers,
  type Ask,
  type AskKind,
  type AskOf,
  type CallName,
  type FromWorker,
  functionOf,
  keyOf,
  queueOf,
  refOf,
  type ToWorker,
} from "./protocol.ts";
import { toOutcome } from "./settlement.ts";

export interface EmbeddedQueueContext extends Omit<DatabaseThreadOptions, "name"> {
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  readonly maxUnstoredBytes: number;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
}

/** The queue as its callers see it: speaks with the thread that has the file. */
export class EmbeddedQueue implements Queue {
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  readonly deadLetters: DeadLetters;
  readonly #inspector: EmbeddedInspector;
  readonly #context: EmbeddedQueueContext;
  readonly #thread: DatabaseThread<ToWorker, FromWorker>;
  readonly #outbox: EmbeddedOutbox;
  readonly #questions = new Map<number, PromiseWithResolvers<Answers[AskKind]>>();
  #lastQuestion = 0;
  #ids = new SealedCallIds({ secret: new Uint8Array(32), hiddenFrom: 0 });
  #consumer: EmbeddedConsumer | undefined;
  #closing: Promise<void> | undefined;

  constructor(context: EmbeddedQueueContext) {
    this.#context = context;
    this.maxBodyBytes = context.maxBodyBytes;
    this.maxResultBytes = context.maxResultBytes;
    this.#thread = new DatabaseThread(
      { ...context, name: "queue" },
      {
        opened: ({ key }, again) => {
          this.#ids = new SealedCallIds(key);
          // One that is closing would only hand everything back, again and again.
          if (again && this.#consumer?.closing === false) this.#thread.post({ kind: "consume" });
        },
        received: (message) => this.#receive(message),
        lost: async (error) => {
          this.#abandon(error);
          await this.#consumer?.interrupt();
        },
      },
    );
    this.#outbox = new EmbeddedOutbox(
      (batch) => this.#thread.post(batch, [batch.bodies]),
      () => this.#consumer?.turn(),
    );
    this.#inspector = new EmbeddedInspector(
      (ask) => this.#ask(ask),
      () => this.#ids,
    );
    this.deadLetters = new EmbeddedDeadLetters(
      (ask) => this.#ask(ask),
      () => this.#ids,
    );
  }

  /** To be waited for before anything else. */
  get opened(): Promise<void> {
    return this.#thread.opened;
  }

  async publish(call: NewCall): Promise<Receipt> {
    const refused = this.#thread.failure ?? this.#refuse(call);
    if (refused) throw refused;
    const { batch, callId, idempotencyKey, notBefore, notAfter } = call;
    const print = idempotencyKey === undefined ? undefined : (call.requestPrint ?? fingerprintWithBody(call));
    const member = batch?.kind === "member" ? this.#memberOf(batch) : undefined;
    const stored = await this.#outbox.publish(
      {
        key: keyOf(call),
        acceptedAt: call.acceptedAt,
        meta: encodeMeta(call),
        ...(callId !== undefined && { callId }),
        ...(idempotencyKey !== undefined && { idempotencyKey }),
        ...(print !== undefined && { print }),
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
    if (this.#thread.failure) throw this.#thread.failure;
    if (this.#closing) throw new FaasError("unavailable", "the queue is closed");
    if (this.#consumer) throw new FaasError("conflict", "the embedded queue has a consumer already");
    const consumer = new EmbeddedConsumer(deliver, options, {
      ids: this.#ids,
      maxResultBytes: this.maxResultBytes,
      log: this.#context.log,
      port: {
        settle: (settlement) => {
          // Lost with the thread that wants to know: the next one delivers the call again.
          if (!this.#thread.failure) this.#outbox.settle(settlement);
        },
        claim: (key, count) => {
          if (!this.#thread.failure) this.#outbox.claim(key, count);
        },
        pause: () => {
          if (this.#thread.failure) consumer.settled();
          else this.#thread.post({ kind: "pause" });
        },
        members: (whole) => this.#members(whole),
        closed: () => {
          this.#consumer = undefined;
        },
      },
    });
    this.#consumer = consumer;
    this.#thread.post({ kind: "consume" });
    return consumer;
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

  async callBack(id: string): Promise<CallbackRequest> {
    return await this.#ask({ kind: "callBack", of: this.#nameOf(id), callId: id });
  }

  /** Some at a time, so that calls that arrive meanwhile hardly wait. */
  async purge(ref: FunctionRef): Promise<number> {
    const fn = qualifiedName(ref);
    let count = 0;
    for (let upTo: number | undefined; ; ) {
      const purged: Answers["purge"] = await this.#ask({ kind: "purge", fn, ...(upTo !== undefined && { upTo }) });
      if (purged.count === 0) return count;
      count += purged.count;
      // Those that arrive while this goes on are not meant.
      upTo = purged.upTo;
    }
  }

  async list(filter: CallFilter, page: { readonly limit: number; readonly after?: string }): Promise<CallPage> {
    return await this.#inspector.list(filter, page);
  }

  async request(id: string, bodyBytes: number): Promise<CallRequest | undefined> {
    return await this.#inspector.request(this.#nameOf(id), bodyBytes);
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
    if (this.#thread.failure) throw this.#thread.failure;
    if (this.#closing) throw new FaasError("unavailable", "the queue is closed");
    const question = ++this.#lastQuestion;
    const answer = Promise.withResolvers<Answers[AskKind]>();
    this.#questions.set(question, answer);
    this.#thread.post({ kind: "ask", question, ask: ask as Ask });
    return (await answer.promise) as Answers[K];
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#outbox.flush();
    await this.#thread.close();
    this.#consumer?.settled();
    this.#abandon(new FaasError("unavailable", "the queue is closed"));
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "stored":
        this.#outbox.stored(message);
        break;
      case "deliver":
        if (this.#consumer) this.#consumer.receive(message);
        // What the last one asked for, and did not wait for.
        else
          for (const { seq } of message.answers.flatMap(({ calls }) => calls))
            this.#outbox.settle({ seq, kind: "back" });
        break;
      case "abort":
        this.#consumer?.abort(message.calls);
        break;
      case "tell":
        this.#consumer?.tell(message.batches);
        break;
      case "idle":
        this.#consumer?.settled();
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
      case "opened":
      case "refusedToOpen":
        break; // the thread's business
    }
  }

  /** Lets nobody wait for an answer that will not come. */
  #abandon(error: FaasError): void {
    this.#outbox.abandon(error);
    for (const { reject } of this.#questions.values()) reject(error);
    this.#questions.clear();
  }
}

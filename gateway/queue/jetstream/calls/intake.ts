import { FaasError } from "../../../../contract/errors.ts";
import { isQueueName } from "../../../../contract/names.ts";
import { fingerprintWithBody } from "../../../core/request-fingerprint.ts";
import { readMessage } from "../../../nats/stored-message.ts";
import type { NewCall, Receipt } from "../../queue.ts";
import { functionQueueSubject, queueStream, SIGNALS } from "../client/names.ts";
import { type Alias, type KeyedCall, messageIdOf, readKeyAlias, writeAlias } from "../store/aliases.ts";
import { decodeIfReadable, encodeSmall, functionQueueOf, idOf, type StoredCall } from "../store/call-codec.ts";
import { Nonces } from "../store/call-id.ts";
import type { Context } from "../store/context.ts";
import { bucketOf, bucketToken, laterSubject } from "../store/later-bucket.ts";
import { findCall, findMessage } from "./lookup.ts";

/** Workers look by themselves now and then; a signal only spares the first call of a function that wait. */
const SIGNAL_EVERY_MS = 200;

/** Takes calls in: most with one message, whose number is part of the call's id. */
export class Intake {
  readonly #context: Context;
  readonly #nonces = new Nonces();
  readonly #signalled = new Map<string, number>();

  constructor(context: Context) {
    this.#context = context;
  }

  publish(call: NewCall): Promise<Receipt> {
    const refused = this.#refuse(call);
    if (refused) return Promise.reject(refused);
    const { batch, idempotencyKey } = call;
    if (batch?.kind === "member") {
      return this.#publishOnce(call, { kind: "member", of: batch.of, index: batch.index });
    }
    if (idempotencyKey !== undefined) {
      const name = { name: call.function, namespace: call.namespace };
      const keyed = { ...call, requestPrint: call.requestPrint ?? fingerprintWithBody(call) };
      return this.#publishOnce(keyed, { kind: "key", function: name, key: idempotencyKey });
    }
    return this.#publish(call);
  }

  #refuse({ queue, body }: NewCall): FaasError | undefined {
    const { publisher, settings } = this.#context;
    if (!isQueueName(queue))
      return new FaasError("invalid", `queue: "${queue}" must have 1 to 63 lower-case letters, digits, - and _`);
    if (body.byteLength > settings.maxBodyBytes) {
      return new FaasError("tooLarge", `request body is too large, maximum: ${settings.maxBodyBytes} bytes`);
    }
    if (publisher.full) return new FaasError("overloaded", "the queue is busy: too much waits to be stored");
    return undefined;
  }

  /**
   * Of a call that is not known yet.
   * @returns undefined when there is nothing to wait for
   * @throws {FaasError} `overloaded`
   */
  #takeRoom(call: NewCall): undefined | Promise<void> {
    const bytes = call.body.byteLength + headBytes(call);
    const full = this.#context.room.take(
      functionQueueSubject(functionQueueOf(call)),
      bytes,
      call.batch?.kind === "member" ? 1 : 0,
    );
    return full?.then((why) => {
      if (why !== undefined) throw new FaasError("overloaded", why);
    });
  }

  async #publish(call: NewCall): Promise<Receipt> {
    const room = this.#takeRoom(call);
    if (room) await room;
    const nonce = this.#nonces.next();
    const { seq } = await this.#store(call, nonce, nonce);
    return await this.#accepted(call, this.#idOf(seq, nonce));
  }

  /** One call for each alias. The window of duplicates covers those at the same time, the alias those that follow. */
  async #publishOnce(call: NewCall, alias: Alias): Promise<Receipt> {
    const known = await this.#known(call, alias);
    if (known) return known;
    await this.#takeRoom(call);
    const nonce = this.#nonces.next();
    const at = await this.#store(call, nonce, messageIdOf(alias));
    if (at.duplicate) {
      const other = (await this.#read(call, at.stream, at.seq, alias)) ?? (await this.#known(call, alias));
      if (other) return other;
      // That call has ended and is forgotten, sooner than the window.
      const again = await this.#store(call, nonce, nonce);
      return await this.#accepted(call, this.#idOf(again.seq, nonce), alias);
    }
    return await this.#accepted(call, this.#idOf(at.seq, nonce), alias);
  }

  #idOf(seq: number, nonce: string): string {
    return this.#context.ids.encode({ seq, nonce, hidden: true });
  }

  async #known(call: NewCall, alias: Alias): Promise<Receipt | undefined> {
    const known = await readKeyAlias(this.#context, alias);
    if (!known) return undefined;
    const { id } = known;
    if (alias.kind === "member") return { id, callId: call.callId ?? id, duplicate: true };
    const found = await findCall(this.#context, id);
    if (!found) return undefined;
    await this.#checkSame(call, known);
    return { id: found.record.id, callId: found.record.callId, duplicate: true };
  }

  /**
   * Of a call that an earlier release took and that has ended it cannot be told whether it was the same.
   * @throws {FaasError} `unprocessable` when the key stands for another request
   */
  async #checkSame({ requestPrint }: NewCall, { id, print }: KeyedCall, stored?: StoredCall): Promise<void> {
    if (requestPrint === (print ?? (await this.#printOf(id, stored)))) return;
    throw new FaasError("unprocessable", "X-Idempotency-Key: is the key of another request");
  }

  async #printOf(id: string, known: StoredCall | undefined): Promise<string | undefined> {
    const open = known ? undefined : await this.#context.records.findOpen(id);
    const stored = known ?? (await findMessage(this.#context, id, open))?.stored;
    if (!stored) return undefined;
    return (
      stored.call.requestPrint ?? fingerprintWithBody({ ...stored.call, body: await this.#context.bodyOf(stored) })
    );
  }

  /** The call of a message that has been stored before; its publisher may have died before writing the alias. */
  async #read(call: NewCall, stream: string, seq: number, alias: Alias): Promise<Receipt | undefined> {
    const message = await readMessage(this.#context.link, stream, { seq });
    if (!message) return undefined;
    const stored = decodeIfReadable(message.data);
    if (!stored) return undefined;
    const id = idOf(stored, seq, this.#context.ids);
    if (alias.kind === "key") await this.#checkSame(call, { id }, stored);
    await writeAlias(this.#context, alias, id, call.requestPrint);
    return { id, callId: stored.call.callId ?? id, duplicate: true };
  }

  async #store(call: NewCall, nonce: string, messageId: string) {
    const { bodies, publisher } = this.#context;
    const { queue, notBefore } = call;
    const ensuring = this.#context.ensureQueue(queue);
    if (ensuring) await ensuring.catch(this.#unready);
    const now = Date.now();
    const functionQueue = functionQueueOf(call);
    const bucket = notBefore !== undefined && notBefore > now ? bucketOf(notBefore, now) : undefined;
    const { body, ...rest } = call;
    const stored = {
      call: rest,
      nonce,
      hidden: true as const,
      moves: 0,
      attempts: 0,
      ...(bucket && { dueAt: notBefore as number }),
      body,
    };
    // Without waiting for anything where nothing is to be waited for, so that calls keep their order.
    const inline = encodeSmall(stored, publisher.maxBytes);
    const payload = inline ?? (await this.#context.encodeFitting(stored));
    const large = inline === undefined;
    if (payload.byteLength > publisher.maxBytes) throw new FaasError("tooLarge", "request headers are too large");
    const subject = functionQueueSubject(functionQueue);
    try {
      const at = await publisher.publish(bucket ? laterSubject(bucket, functionQueue) : subject, payload, {
        id: messageId,
      });
      if (bucket) this.#signal(SIGNALS.later, bucketToken(bucket));
      else this.#signal(SIGNALS.work, `${queueStream(queue)} ${subject}`);
      if (large && at.duplicate) await bodies.remove({ key: nonce });
      return at;
    } catch (error) {
      // It may have been stored all the same when no answer came, so its body stays then.
      if (large && error instanceof FaasError && error.kind === "overloaded") await bodies.remove({ key: nonce });
      throw error;
    }
  }

  async #accepted(call: NewCall, id: string, alias?: Alias): Promise<Receipt> {
    const { callId, batch } = call;
    const aliases: Alias[] = alias ? [alias] : [];
    // The id that members share is the batch's.
    if (callId !== undefined && batch?.kind !== "member") aliases.push({ kind: "call", callId });
    const write = (one: Alias) =>
      writeAlias(this.#context, one, id, one.kind === "key" ? call.requestPrint : undefined);
    if (aliases.length > 0) await Promise.all(aliases.map(write));
    this.#context.activity.accepted(functionQueueSubject(functionQueueOf(call)), performance.now());
    return { id, callId: callId ?? id, duplicate: false };
  }

  #signal(subject: string, about: string): void {
    const { link } = this.#context;
    const now = performance.now();
    const last = this.#signalled.get(about);
    if ((last !== undefined && now - last < SIGNAL_EVERY_MS) || !link.connected) return;
    if (this.#signalled.size > 10_000) this.#signalled.clear();
    this.#signalled.set(about, now);
    link.send({ subject, payload: about });
  }

  readonly #unready = (cause: unknown): never => {
    if (cause instanceof FaasError) throw cause;
    throw new FaasError("unavailable", "the queue's stream cannot be made", { cause });
  };
}

/** About what is stored of a call beside its body. */
function headBytes({ headers, path, query }: NewCall): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length, path.length + query.length);
}

import { createInbox, type Msg, type MsgHdrs, type Subscription } from "nats";
import type { Link } from "./connection.ts";

/** A message that a consumer hands over until it is acknowledged. */
export interface Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  readonly stream: string;
  readonly seq: number;
  /** Counts from 1. */
  readonly deliveries: number;
  /** When the stream took it, in milliseconds since the epoch, by the server's clock. */
  readonly storedAt: number;
  /** Further messages that the consumer has. */
  readonly pending: number;
  /** Where acknowledgements go. */
  readonly reply: string;
}

export interface PullListener {
  delivered(delivery: Delivery): void;
  /**
   * A request is over with fewer messages than asked for.
   * @param lost the consumer, its stream or the connection is gone
   */
  over(lost: boolean): void;
}

const ACK_PREFIX = "$JS.ACK.";
/**
 * How much longer than its time a request may go without an answer. Servers (2.9.10) say nothing when they notice that
 * it has expired in the moment there is a message for it. Nor when there is no such consumer, as after the restart of
 * one that forgets its consumers: that shows in silence to the next request, too.
 */
const SILENCE_MS = 1000;
const LOST_SILENCES = 2;

const KEEP_ALIVE_MS = 2000;
/** Where the consumer's limit holds messages up it would lie there, in the way of one that is given back. */
const KEEP_ALIVE_EXPIRES_MS = 100;

const ACK = Buffer.from("+ACK");
const NAK = Buffer.from("-NAK");
const WORKING = Buffer.from("+WPI");

/** The end of a message: it goes. Not awaited; should it get lost, the message comes again and its record tells. */
export function acknowledge(link: Link, { reply }: Pick<Delivery, "reply">): void {
  send(link, reply, ACK);
}

/** Lets the message be delivered again at once, to whoever asks. */
export function giveBack(link: Link, { reply }: Pick<Delivery, "reply">): void {
  send(link, reply, NAK);
}

/** Lets the message be delivered again after a while. Until then it counts as in hand. */
export function giveBackLater(link: Link, { reply }: Pick<Delivery, "reply">, afterMs: number): void {
  send(link, reply, Buffer.from(`-NAK ${JSON.stringify({ delay: afterMs * 1e6 })}`));
}

export function stillWorking(link: Link, { reply }: Pick<Delivery, "reply">): void {
  send(link, reply, WORKING);
}

function send(link: Link, reply: string, word: Buffer): void {
  // What cannot be sent now would be dropped by the client anyway: the message comes again.
  link.send({ subject: reply, payload: word });
}

/** Asks one consumer for messages, one request at a time, each for many of them. */
export class Pull {
  readonly #link: Link;
  readonly #path: string;
  readonly #listener: PullListener;
  readonly #inbox = createInbox();
  readonly #subscription: Subscription;
  readonly #ended = Promise.withResolvers<void>();
  #outstanding = 0;
  #timer: NodeJS.Timeout | undefined;
  /** In a row. */
  #silences = 0;
  #closing = false;

  constructor(link: Link, stream: string, consumer: string, listener: PullListener) {
    this.#link = link;
    this.#path = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#listener = listener;
    this.#subscription = link.nc.subscribe(this.#inbox, { callback: (_err, msg) => this.#received(msg) });
  }

  /** Messages asked for that have not come yet. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** To be called when none is outstanding. */
  ask(batch: number, expiresMs: number): void {
    if (!this.#link.connected || this.#closing) return;
    this.#outstanding = batch;
    const payload = JSON.stringify({ batch, expires: expiresMs * 1e6 });
    this.#link.send({ subject: this.#path, payload, reply: this.#inbox });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#over(++this.#silences >= LOST_SILENCES), expiresMs + SILENCE_MS);
    this.#timer.unref();
  }

  /** Counts as interest in the consumer, which would vanish without any, and brings nothing: no message is so small. */
  keepAlive(): void {
    if (!this.#link.connected) return;
    const request = JSON.stringify({ batch: 1, no_wait: true, max_bytes: 1, expires: KEEP_ALIVE_EXPIRES_MS * 1e6 });
    // Whatever it answers: should the consumer be gone, the next real request tells.
    this.#link.nc.request(this.#path, request, { timeout: KEEP_ALIVE_MS }).catch(() => undefined);
  }

  /** Forgets the request under way, as the connection it went over is gone. */
  reset(): void {
    this.#outstanding = 0;
    clearTimeout(this.#timer);
    if (this.#closing) this.#ended.resolve();
  }

  /**
   * Asks no more, and resolves when nothing comes any more: once the request under way has had its time, or all of its
   * messages. What comes until then is delivered still, and is to be given back only afterwards. A request cannot be
   * withdrawn: a message that the server has chosen for it would go to nobody. And while there is one that nobody
   * listens to, the server (2.9.10) takes what is given back for delivered. Both come again only after the ack wait.
   */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#outstanding > 0 && this.#link.connected) await this.#ended.promise;
    await this.leave();
  }

  /** Without waiting for the request under way, where nothing is taken away by what it brings. */
  async leave(): Promise<void> {
    this.#closing = true;
    this.reset();
    if (this.#link.nc.isClosed() || this.#subscription.isClosed()) return;
    if (this.#link.connected) await this.#subscription.drain();
    else this.#subscription.unsubscribe();
  }

  #received(msg: Msg): void {
    this.#silences = 0;
    if (msg.reply?.startsWith(ACK_PREFIX)) {
      if (this.#outstanding > 0) this.#outstanding--;
      if (this.#outstanding === 0) this.reset();
      this.#listener.delivered(deliveryOf(msg, msg.reply));
      return;
    }
    const code = msg.headers?.code;
    if (code === 100) return;
    // 404 and 408: no message in time. 409: consumer deleted, leader changed. 503: no consumer, no stream.
    this.#over(code !== 404 && code !== 408);
  }

  #over(lost: boolean): void {
    if (this.#outstanding === 0) return;
    this.reset();
    if (!this.#closing) this.#listener.over(lost);
  }
}

/** @see https://docs.nats.io/reference/reference-protocols/nats_api_reference the subject of acknowledgements */
function deliveryOf(msg: Msg, reply: string): Delivery {
  const tokens = reply.split(".");
  // Newer servers put domain and account before the stream.
  const at = tokens.length > 9 ? 4 : 2;
  return {
    subject: msg.subject,
    data: msg.data,
    headers: msg.headers,
    stream: tokens[at] as string,
    deliveries: Number(tokens[at + 2]),
    seq: Number(tokens[at + 3]),
    storedAt: Number(tokens[at + 5]) / 1e6,
    pending: Number(tokens[at + 6]),
    reply,
  };
}

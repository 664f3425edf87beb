import type { Client } from "pg";
import type { PgoutputPlugin } from "pg-logical-replication";
import type { RowChange } from "./postgres-message.ts";
import type { LogItem, Transactions } from "./transactions.ts";

/** What the client has inside, which speaks the protocol of replication. */
interface Connection {
  readonly stream: { pause(): void; resume(): void };
  on(event: "copyData", listener: (message: { readonly chunk: Buffer }) => void): void;
  once(event: "replicationStart", listener: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

interface Queued {
  readonly item: LogItem;
  readonly bytes: number;
}

export interface FeedReader {
  started(): void;
  /** Resolves once the changes are stored. */
  take(changes: readonly RowChange[]): Promise<void>;
}

const LOG_DATA = 0x77;
const KEEP_ALIVE = 0x6b;
const HEAD_BYTES = 25;
const MOST = 100;
const MOST_BYTES = 4 * 1024 ** 2;
/** What waits here at most before the server has to. */
const MOST_WAITING = 1_000;
const MOST_WAITING_BYTES = 16 * 1024 ** 2;
const STATUS_EVERY_MS = 10_000;
/** A server that is asked to answer every ten seconds, and does not, is gone. */
const SILENT_MS = 60_000;
/** From 1970 to 2000, which the server counts from. */
const EPOCH_MS = 946_684_800_000;

/** Reads the log of a slot. The server is told how far it has been read only once what it has told is stored. */
export class ChangeFeed {
  readonly #connection: Connection;
  readonly #plugin: PgoutputPlugin;
  readonly #transactions: Transactions;
  readonly #reader: FeedReader;
  readonly #queue: Queued[] = [];
  #queuedBytes = 0;
  #isBusy = false;
  #isPaused = false;
  #isOver = false;
  #told = 0n;
  #heardAt = performance.now();
  #fail: (error: unknown) => void = () => {};

  constructor(client: Client, plugin: PgoutputPlugin, transactions: Transactions, reader: FeedReader) {
    this.#connection = (client as unknown as { connection: Connection }).connection;
    this.#plugin = plugin;
    this.#transactions = transactions;
    this.#reader = reader;
  }

  /** @throws why it has ended */
  async run(client: Client, slot: string): Promise<never> {
    const { promise: failed, reject } = Promise.withResolvers<never>();
    this.#fail = reject;
    this.#connection.on("copyData", ({ chunk }) => this.#receive(chunk));
    this.#connection.once("replicationStart", () => this.#reader.started());
    const status = setInterval(() => this.#keepAlive(), STATUS_EVERY_MS);
    try {
      // From zero means from where the slot is.
      await Promise.race([failed, this.#plugin.start(client, slot, "0/0")]);
      throw new Error("the server has ended the replication");
    } finally {
      this.#isOver = true;
      clearInterval(status);
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#heardAt = performance.now();
    try {
      if (chunk[0] === LOG_DATA) this.#enqueue(chunk);
      // Up to there is nothing else for this slot: a log that others fill can be removed.
      else if (chunk[0] === KEEP_ALIVE) {
        if (this.#isIdle) this.#told = maxOf(this.#told, chunk.readBigUInt64BE(1));
        if (chunk[17] === 1) this.#tell(false);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  get #isIdle(): boolean {
    return !this.#isBusy && this.#queue.length === 0 && !this.#transactions.isOpen;
  }

  #enqueue(chunk: Buffer): void {
    const item = this.#transactions.read(this.#plugin.parse(chunk.subarray(HEAD_BYTES)));
    if (!item) return;
    this.#queue.push({ item, bytes: chunk.length });
    this.#queuedBytes += chunk.length;
    if (this.#isFull && !this.#isPaused) {
      this.#isPaused = true;
      this.#connection.stream.pause();
    }
    if (this.#isBusy) return;
    this.#isBusy = true;
    // What has come in the same packet is handed over in the same turn of the event loop.
    setImmediate(() => this.#emptyOut().catch((error: unknown) => this.#fail(error)));
  }

  get #isFull(): boolean {
    return this.#queue.length >= MOST_WAITING || this.#queuedBytes >= MOST_WAITING_BYTES;
  }

  async #emptyOut(): Promise<void> {
    while (this.#queue.length > 0 && !this.#isOver) {
      const items = this.#nextItems();
      await this.#reader.take(items.flatMap((item) => ("change" in item ? [item.change] : [])));
      for (const item of items) if ("told" in item) this.#told = maxOf(this.#told, item.told);
      if (items.some((item) => "told" in item)) this.#tell(false);
      if (!this.#isPaused || this.#isFull || this.#isOver) continue;
      this.#isPaused = false;
      this.#heardAt = performance.now();
      this.#connection.stream.resume();
    }
    this.#isBusy = false;
  }

  #nextItems(): LogItem[] {
    const items: LogItem[] = [];
    for (let bytes = 0; this.#queue.length > 0 && items.length < MOST && bytes < MOST_BYTES; ) {
      const next = this.#queue.shift() as Queued;
      items.push(next.item);
      bytes += next.bytes;
      this.#queuedBytes -= next.bytes;
    }
    return items;
  }

  #keepAlive(): void {
    if (!this.#isPaused && performance.now() - this.#heardAt > SILENT_MS) {
      this.#fail(new Error("the server does not answer any more"));
    } else this.#tell(true);
  }

  /** Tells the server how far the log is stored here. */
  #tell(asksForAnswer: boolean): void {
    if (this.#isOver) return;
    const status = Buffer.alloc(34);
    status.write("r", 0, "latin1");
    for (const place of [1, 9, 17]) status.writeBigUInt64BE(this.#told, place);
    status.writeBigInt64BE(BigInt(Date.now() - EPOCH_MS) * 1000n, 25);
    status.writeUInt8(asksForAnswer ? 1 : 0, 33);
    this.#connection.sendCopyFromChunk(status);
  }
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

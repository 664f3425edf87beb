import type { StreamEntry } from "./redis-message.ts";

/** Sends one command; what it answers, with texts as bytes. */
export type SendCommand = (args: readonly string[]) => Promise<unknown>;

/** An entry that a group still has to acknowledge; without its fields when it has been removed from the stream. */
export type PendingEntry = Omit<StreamEntry, "fields"> & { readonly fields: StreamEntry["fields"] | undefined };

type Listed = readonly [id: Buffer, fields: readonly Buffer[] | null] | null;

/** One consumer of a group that reads streams. */
export class ConsumerGroup {
  readonly #send: SendCommand;
  readonly #streams: readonly string[];
  readonly #group: string;
  readonly #consumer: string;

  constructor(send: SendCommand, streams: readonly string[], group: string, consumer: string) {
    this.#send = send;
    this.#streams = streams;
    this.#group = group;
    this.#consumer = consumer;
  }

  /** Makes the group, and the streams too, where they are not there. */
  async make(start: "earliest" | "latest"): Promise<void> {
    for (const stream of this.#streams) {
      try {
        await this.#send(["XGROUP", "CREATE", stream, this.#group, start === "earliest" ? "0" : "$", "MKSTREAM"]);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("BUSYGROUP")) throw error;
      }
    }
  }

  /** Entries that nobody of the group has got, after a wait for the first. */
  async next(count: number, blockMs: number): Promise<PendingEntry[]> {
    return await this.#read(["COUNT", String(count), "BLOCK", String(blockMs)], ">");
  }

  /** Entries that this consumer got and has not acknowledged. */
  async own(count: number): Promise<PendingEntry[]> {
    return await this.#read(["COUNT", String(count)], "0");
  }

  /** Takes over what other consumers got, and have not acknowledged for a while: they may be dead. */
  async claim(count: number, idleMs: number): Promise<PendingEntry[]> {
    const claimed: PendingEntry[] = [];
    for (const stream of this.#streams) {
      let after = "0-0";
      do {
        const [next, listed] = (await this.#send([
          "XAUTOCLAIM",
          stream,
          this.#group,
          this.#consumer,
          String(idleMs),
          after,
          "COUNT",
          String(count),
        ])) as [Buffer, readonly Listed[]];
        claimed.push(...entriesOf(stream, listed));
        after = String(next);
      } while (after !== "0-0" && claimed.length < count);
    }
    return claimed;
  }

  async acknowledge(entries: readonly PendingEntry[]): Promise<void> {
    const ids = Map.groupBy(entries, ({ stream }) => stream);
    for (const [stream, each] of ids) await this.#send(["XACK", stream, this.#group, ...each.map(({ id }) => id)]);
  }

  /** How many entries the group has not acknowledged; undefined when the server does not know. */
  async lag(): Promise<number | undefined> {
    let waiting = 0;
    for (const stream of this.#streams) {
      const groups = (await this.#send(["XINFO", "GROUPS", stream])) as readonly (readonly unknown[])[];
      const mine = groups.map(membersOf).find((group) => group.get("name") === this.#group);
      const lag = Number(mine?.get("lag") ?? Number.NaN);
      if (Number.isNaN(lag)) return undefined;
      waiting += lag + Number(mine?.get("pending") ?? 0);
    }
    return waiting;
  }

  async #read(options: readonly string[], from: string): Promise<PendingEntry[]> {
    const streams = this.#streams;
    const answer = (await this.#send([
      "XREADGROUP",
      "GROUP",
      this.#group,
      this.#consumer,
      ...options,
      "STREAMS",
      ...streams,
      ...streams.map(() => from),
    ])) as readonly (readonly [Buffer, readonly Listed[]])[] | null;
    return (answer ?? []).flatMap(([stream, listed]) => entriesOf(String(stream), listed));
  }
}

function entriesOf(stream: string, listed: readonly Listed[]): PendingEntry[] {
  return listed
    .filter((each) => each !== null)
    .map(([id, fields]) => ({ stream, id: String(id), fields: fields ? pairsOf(fields) : undefined }));
}

function pairsOf(flat: readonly Buffer[]): (readonly [Buffer, Buffer])[] {
  return Array.from({ length: flat.length >> 1 }, (_, n) => [flat[2 * n] as Buffer, flat[2 * n + 1] as Buffer]);
}

function membersOf(flat: readonly unknown[]): ReadonlyMap<string, string | undefined> {
  return new Map(
    Array.from({ length: flat.length >> 1 }, (_, n) => {
      const value = flat[2 * n + 1];
      return [String(flat[2 * n]), value === null ? undefined : String(value)];
    }),
  );
}

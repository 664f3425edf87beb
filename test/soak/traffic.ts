import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";

/** What was asked of a call, and so how it may end. */
export type Kind = "plain" | "delayed" | "failing" | "flapping" | "cancelled" | "keyed" | "batch";

export interface Accepted {
  readonly id: string;
  readonly kind: Kind;
  /** Numbers in the ledger: one, or one for all lines of a batch. */
  readonly call: number;
  readonly acceptedAt: number;
  readonly delayMs: number;
}

export const BATCH_LINES = 10;
const CANCELLED_WITHIN_MS = 10_000;
/** How a call of each kind may end. */
export const ENDS: Readonly<Record<Kind, readonly string[]>> = {
  plain: ["done"],
  delayed: ["done"],
  failing: ["dead"],
  flapping: ["done", "dead"],
  // It may have been too late.
  cancelled: ["cancelled", "done"],
  keyed: ["done"],
  batch: ["done"],
};

/** Of a hundred calls. */
const MIX: readonly (readonly [kind: Kind | "sync", share: number])[] = [
  ["sync", 30],
  ["plain", 35],
  ["delayed", 10],
  ["failing", 5],
  ["flapping", 8],
  ["cancelled", 5],
  ["keyed", 5],
  ["batch", 2],
];

/** A caller of everything that asynchronous calls can do, each kind by its share. */
export class Traffic {
  readonly accepted: Accepted[] = [];
  syncCalls = 0;
  readonly #url: string;
  readonly #random: () => number;
  #last = 0;

  constructor(url: string, random: () => number) {
    this.#url = url;
    this.#random = random;
  }

  /** Calls, `inFlight` at a time, until it is over. @throws on an answer that is none of those expected */
  async run(endsAt: number, inFlight: number, pauseMs: number): Promise<void> {
    const caller = async () => {
      while (performance.now() < endsAt) {
        await this.#one();
        await delay(pauseMs * 2 * this.#random());
      }
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
  }

  async #one(): Promise<void> {
    const call = ++this.#last;
    const kind = this.#choose();
    switch (kind) {
      case "sync": {
        const answer = await fetch(`${this.#url}/function/ledger?call=${call}`);
        await answer.arrayBuffer();
        if (answer.status !== 200) throw new Error(`a synchronous call was answered ${answer.status}`);
        this.syncCalls++;
        return;
      }
      case "plain":
        return void (await this.#post(kind, call, "ledger"));
      case "failing":
      case "flapping":
        return void (await this.#post(kind, call, kind));
      case "delayed":
        return void (await this.#post(kind, call, "ledger", {}, 100 + Math.round(3000 * this.#random())));
      case "cancelled": {
        const { id } = await this.#post(kind, call, "ledger", {}, Math.round(1000 * this.#random()));
        return await this.#cancel(id);
      }
      case "keyed": {
        const headers = { "x-idempotency-key": `key-${call}` };
        const [first, second] = await Promise.all([
          this.#send("ledger", call, { headers }),
          this.#send("ledger", call, { headers }),
        ]);
        if (first !== second) throw new Error("one key made two calls");
        this.#note(kind, call, first, 0);
        return;
      }
      case "batch": {
        const body = '{"n":1}\n'.repeat(BATCH_LINES);
        const headers = { "content-type": "application/x-ndjson", "x-batch": "true" };
        this.#note(kind, call, await this.#send("ledger", call, { headers, body }), 0);
      }
    }
  }

  /** A store that is busy for a moment says so, and is asked again. */
  async #cancel(id: string): Promise<void> {
    const cancelled = async () => {
      const answer = await fetch(`${this.#url}/async-function/${id}`, { method: "DELETE" });
      await answer.arrayBuffer();
      if (answer.status !== 202 && answer.status !== 503)
        throw new Error(`a cancellation was answered ${answer.status}`);
      return answer.status === 202;
    };
    await eventually("a cancellation is taken", cancelled, CANCELLED_WITHIN_MS);
  }

  #choose(): Kind | "sync" {
    let left = this.#random() * 100;
    for (const [kind, share] of MIX) {
      left -= share;
      if (left < 0) return kind;
    }
    return "sync";
  }

  async #post(kind: Kind, call: number, name: string, init: RequestInit = {}, delayMs = 0): Promise<Accepted> {
    const headers = delayMs > 0 ? { "x-delay": `${delayMs}ms` } : {};
    return this.#note(kind, call, await this.#send(name, call, { headers, ...init }), delayMs);
  }

  #note(kind: Kind, call: number, id: string, delayMs: number): Accepted {
    const accepted = { id, kind, call, acceptedAt: Date.now(), delayMs };
    this.accepted.push(accepted);
    return accepted;
  }

  async #send(name: string, call: number, init: RequestInit): Promise<string> {
    const answer = await fetch(`${this.#url}/async-function/${name}?call=${call}`, { method: "POST", ...init });
    const text = await answer.text();
    if (answer.status !== 202) throw new Error(`an asynchronous call was answered ${answer.status}: ${text}`);
    const location = answer.headers.get("location") as string;
    return location.slice(location.lastIndexOf("/") + 1);
  }
}

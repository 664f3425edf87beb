import { FaasError } from "../../../contract/errors.ts";
import { packBodies } from "../../../kit/pack-bodies.ts";
import type { FromWorker, KeyClaim, SettlementMessage, ToWorker, WireCall } from "./protocol.ts";
import { toWire } from "./settlement.ts";

/** Where a published call has got to. */
export interface PublishReceipt {
  readonly seq: number;
  readonly duplicate: boolean;
  /** Of the first, for a duplicate whose caller chose one. */
  readonly callId: string | undefined;
}

interface Unstored {
  readonly bytes: number;
  readonly resolve: (stored: PublishReceipt) => void;
  readonly reject: (error: Error) => void;
}

type Batch = Extract<ToWorker, { kind: "batch" }>;

/** Gathers what is published, settled and claimed in one turn of the event loop, to travel together. */
export class EmbeddedOutbox {
  readonly #send: (batch: Batch) => void;
  readonly #beforeFlush: () => void;
  /** Since the last flush. */
  #calls: { readonly call: WireCall; readonly body: Uint8Array; readonly unstored: Unstored }[] = [];
  #bodyBytes = 0;
  #settlements: SettlementMessage[] = [];
  #claims: KeyClaim[] = [];
  #flushing = false;
  /** Sent, not yet durable, by the name of the batch. */
  readonly #batches = new Map<number, readonly Unstored[]>();
  #lastBatch = 0;
  #unstoredBytes = 0;

  /** @param beforeFlush has the chance to add what is to travel along */
  constructor(send: (batch: Batch) => void, beforeFlush: () => void) {
    this.#send = send;
    this.#beforeFlush = beforeFlush;
  }

  /** Bytes on their way to the disk. */
  get unstoredBytes(): number {
    return this.#unstoredBytes;
  }

  /** Resolves once the call is durable. */
  publish(call: Omit<WireCall, "bodyAt" | "bodyBytes">, body: Uint8Array): Promise<PublishReceipt> {
    const { promise, resolve, reject } = Promise.withResolvers<PublishReceipt>();
    const bytes = body.byteLength + call.meta.length;
    const wire: WireCall = { ...call, bodyAt: this.#bodyBytes, bodyBytes: body.byteLength };
    this.#calls.push({ call: wire, body, unstored: { bytes, resolve, reject } });
    this.#bodyBytes += body.byteLength;
    this.#unstoredBytes += bytes;
    this.#flushSoon();
    return promise;
  }

  settle(settlement: SettlementMessage): void {
    this.#settlements.push(settlement);
    this.#flushSoon();
  }

  claim(key: string, count: number): void {
    this.#claims.push([key, count]);
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#flushing = true;
    this.#beforeFlush();
    this.#flushing = false;
    if (this.#calls.length + this.#settlements.length + this.#claims.length === 0) return;
    const batch = this.#calls.length > 0 ? ++this.#lastBatch : 0;
    if (batch > 0) {
      this.#batches.set(
        batch,
        this.#calls.map(({ unstored }) => unstored),
      );
    }
    const bodies = this.#calls.map(({ body }) => body);
    let bodyAt = this.#bodyBytes;
    const settlements = this.#settlements.map((settlement) => {
      const { wire, body } = toWire(settlement, bodyAt);
      if (body) {
        bodies.push(body);
        bodyAt += body.byteLength;
      }
      return wire;
    });
    const calls = this.#calls.map(({ call }) => call);
    const claims = this.#claims;
    this.#calls = [];
    this.#settlements = [];
    this.#claims = [];
    this.#bodyBytes = 0;
    this.#send({ kind: "batch", batch, calls, bodies: packBodies(bodies), settlements, claims });
  }

  stored({ batch, places, refused, duplicates }: Extract<FromWorker, { kind: "stored" }>): void {
    const calls = this.#batches.get(batch) ?? [];
    this.#batches.delete(batch);
    const refusals = new Map(refused);
    const firsts = new Map(duplicates);
    calls.forEach(({ bytes, resolve, reject }, i) => {
      this.#unstoredBytes -= bytes;
      const refusal = refusals.get(i);
      if (refusal) reject(new FaasError(refusal.kind, refusal.message));
      else resolve({ seq: places[i] as number, duplicate: firsts.has(i), callId: firsts.get(i) });
    });
  }

  /** Lets nobody wait for an answer that will not come. */
  abandon(error: FaasError): void {
    const unstored = [...[...this.#batches.values()].flat(), ...this.#calls.map((call) => call.unstored)];
    this.#batches.clear();
    this.#calls = [];
    this.#settlements = [];
    this.#claims = [];
    this.#bodyBytes = 0;
    this.#unstoredBytes = 0;
    for (const { reject } of unstored) reject(error);
  }
}

import { isCallbackKey } from "../../../../gateway/queue/embedded/callback-keys.ts";
import { EmbeddedStore } from "../../../../gateway/queue/embedded/db/store.ts";
import { EmbeddedEngine } from "../../../../gateway/queue/embedded/engine/engine.ts";
import {
  type Answers,
  type Ask,
  type AskKind,
  type AskOf,
  type DeliveredCall,
  type EmbeddedSettings,
  type FromWorker,
  functionOf,
  type KeyClaim,
  type SettlementMessage,
  type ToWorker,
  type WireCall,
} from "../../../../gateway/queue/embedded/protocol.ts";
import type { CallState } from "../../../../gateway/queue/queue.ts";
import type { Hold } from "../../../../gateway/queue/worker/call-slots.ts";
import { Turns } from "../../../../gateway/queue/worker/turns.ts";
import { packBodies } from "../../../../kit/pack-bodies.ts";

export const SETTINGS: EmbeddedSettings = {
  path: ":memory:",
  limits: { calls: 1000, bytes: 1024 ** 3, functionCalls: 1000, functionBytes: 1024 ** 3 },
  minFreeBytes: 0,
  maxBytes: 1024 ** 3,
  maxDead: 100,
  maxDeadBytes: 1024 ** 2,
  maxInterruptions: 3,
  resultTtlMs: 60_000,
  maxFinished: 1000,
  maxFinishedBytes: 1024 ** 2,
};

/** A store whose disk refuses at will, before or after a transaction has done its work. */
class UnreliableStore extends EmbeddedStore {
  refusals = 0;
  override transaction<T>(change: () => T): T {
    // Not set yet while the base class is being made.
    if (!this.refusals) return super.transaction(change);
    this.refusals--;
    return super.transaction(() => {
      change();
      throw new Error("disk is full");
    });
  }
}

/** Keeps to limits as the worker does, without trying anything. */
class ClaimingWorker {
  readonly #turns: Turns<{ readonly key: string; readonly fn: string }>;
  readonly #takers = new Map<string, { readonly key: string; readonly fn: string }>();
  readonly #calls = new Map<number, { readonly key: string; hold: Hold }>();
  readonly #received = new WeakSet<FromWorker>();
  readonly #claims = new Map<string, number>();
  /** Calls that were offered and for which there was no room. */
  readonly #refused: number[] = [];

  constructor(concurrency: number, perFunction: number) {
    this.#turns = new Turns(concurrency, (_, underWay) => underWay < perFunction);
  }

  receive(message: Extract<FromWorker, { kind: "deliver" }>): void {
    if (this.#received.has(message)) return;
    this.#received.add(message);
    for (const key of message.found) this.#turns.wake(this.#taker(key));
    for (const { key, calls, missed, isOffer } of message.answers) {
      if (isOffer) {
        const isTaken = this.#takeOffer(key);
        if (!message.found.includes(key)) this.#turns.sleep(this.#taker(key));
        if (!isTaken) {
          this.#refused.push(...calls.splice(0).map(({ seq }) => seq));
          continue;
        }
      }
      for (const { seq } of calls) this.#calls.set(seq, { key, hold: "both" });
      for (let left = missed; left > 0; left--) this.#turns.leave(this.#taker(key), "nothing", "both");
      if (missed > 0) this.#turns.sleep(this.#taker(key));
    }
  }

  /** @returns whether it has its turn now */
  #takeOffer(key: string): boolean {
    this.#turns.wake(this.#taker(key));
    for (let taker = this.#turns.next(); taker; taker = this.#turns.next()) {
      if (taker.key === key) return true;
      this.#claim(taker.key);
    }
    return false;
  }

  #claim(key: string): void {
    this.#claims.set(key, (this.#claims.get(key) ?? 0) + 1);
  }

  leave(seq: number, hold: Hold): void {
    const call = this.#calls.get(seq);
    if (!call) return;
    this.#turns.leave(this.#taker(call.key), hold, call.hold);
    call.hold = hold;
  }

  end(seq: number): void {
    this.leave(seq, "nothing");
    this.#calls.delete(seq);
  }

  claims(): KeyClaim[] {
    for (let taker = this.#turns.next(); taker; taker = this.#turns.next()) this.#claim(taker.key);
    const claims = [...this.#claims];
    this.#claims.clear();
    return claims;
  }

  handBacks(): SettlementMessage[] {
    return this.#refused.splice(0).map((seq) => ({ seq, kind: "back" }));
  }

  #taker(key: string) {
    const taker = this.#takers.get(key) ?? { key, fn: isCallbackKey(key) ? key : functionOf(key) };
    this.#takers.set(key, taker);
    return taker;
  }
}

/** The engine with a clock of its own, and all it has said so far. */
export class Bench {
  now = 1_000_000;
  /** A clock that only goes forward, apart from the other; undefined for the same. */
  steady: number | undefined;
  readonly store = new UnreliableStore(":memory:", SETTINGS.maxBytes);
  readonly said: FromWorker[] = [];
  readonly spare = {
    held: true,
    release() {
      const { held } = this;
      this.held = false;
      return held;
    },
  };
  engine: EmbeddedEngine;
  #lastBatch = 0;
  #worker = new ClaimingWorker(0, 0);

  readonly settings: EmbeddedSettings;

  constructor(settings = SETTINGS) {
    this.settings = settings;
    this.engine = this.restart();
  }

  /** As after a crash: what is in memory is gone. */
  restart(): EmbeddedEngine {
    this.said.length = 0;
    this.engine = new EmbeddedEngine(
      this.store,
      this.spare,
      this.settings,
      () => this.now,
      (message) => this.said.push(message),
      undefined,
      () => this.steady ?? this.now,
    );
    return this.engine;
  }

  /** Claims what there is room for, as a worker does. */
  handle(...inbox: ToWorker[]): void {
    this.engine.handle(inbox);
    for (;;) {
      for (const message of this.said) if (message.kind === "deliver") this.#worker.receive(message);
      const claims = this.#worker.claims();
      const settlements = this.#worker.handBacks().map((settlement) => ({ settlement }));
      if (claims.length + settlements.length === 0) return;
      this.engine.handle([{ kind: "batch", batch: 0, calls: [], bodies: packBodies([]), settlements, claims }]);
    }
  }

  /** @returns its place, undefined when it was not accepted */
  publish(id: string, key = "fn", given: Partial<WireCall> = {}): number | undefined {
    const batch = ++this.#lastBatch;
    const bodies = packBodies([]);
    const meta = JSON.stringify({ name: id });
    const call = { key, acceptedAt: this.now, meta, bodyAt: 0, bodyBytes: 0, ...given };
    this.handle({ kind: "batch", batch, calls: [call], bodies, settlements: [], claims: [] });
    const reply = this.said.findLast((message) => message.kind === "stored" && message.batch === batch);
    return reply?.kind === "stored" && reply.refused.length === 0 ? reply.places[0] : undefined;
  }

  settle(...settlements: SettlementMessage[]): void {
    const wire = settlements.map((settlement) => ({ settlement }));
    for (const { seq } of settlements) this.#worker.end(seq);
    const claims = this.#worker.claims();
    this.handle({ kind: "batch", batch: 0, calls: [], bodies: packBodies([]), settlements: wire, claims });
  }

  consume(concurrency = 10, perFunction = 10): void {
    this.#worker = new ClaimingWorker(concurrency, perFunction);
    this.handle({ kind: "consume" });
  }

  /** A call under way takes less from now on. */
  leave(seq: number, hold: Hold): void {
    this.#worker.leave(seq, hold);
    this.handle();
  }

  /** Calls handed out since the last time. */
  delivered(): DeliveredCall[] {
    const answers = this.said.flatMap((message) => (message.kind === "deliver" ? message.answers : []));
    this.said.splice(0, this.said.length, ...this.said.filter(({ kind }) => kind !== "deliver"));
    return answers.flatMap(({ calls }) => calls);
  }

  ask<K extends AskKind>(ask: AskOf<K>): Answers[K] {
    this.handle({ kind: "ask", question: 1, ask: ask as Ask });
    const at = this.said.findLastIndex(({ kind }) => kind === "answer" || kind === "noAnswer");
    const [reply] = this.said.splice(at, 1);
    if (reply?.kind !== "answer") throw new Error("no answer");
    return reply.value as Answers[K];
  }

  /** @returns undefined also when the disk refused */
  cancel(seq: number): CallState | undefined {
    this.handle({ kind: "ask", question: 2, ask: { kind: "cancel", of: { seq } } });
    const reply = this.said.findLast((message) => message.kind === "answer" && message.question === 2);
    this.said.splice(0, this.said.length, ...this.said.filter((message) => message !== reply));
    return reply?.kind === "answer" ? (reply.value as CallState | undefined) : undefined;
  }

  stats() {
    return this.ask({ kind: "stats" });
  }
}

export const nameOf = ({ meta }: DeliveredCall): string => JSON.parse(meta).name;
export const names = (calls: readonly DeliveredCall[]) => calls.map(nameOf);

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
  packBodies,
  type Settlement,
  type ToWorker,
  type WireCall,
} from "../../../../gateway/queue/embedded/protocol.ts";
import type { CallState } from "../../../../gateway/queue/queue.ts";

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
  perFunction = 10;
  #lastBatch = 0;

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

  /** Answers what is asked about limits, as a consumer does. */
  handle(...inbox: ToWorker[]): void {
    this.engine.handle(inbox);
    for (;;) {
      const at = this.said.findIndex(({ kind }) => kind === "limitsWanted");
      if (at < 0) return;
      const [wanted] = this.said.splice(at, 1);
      const functions = wanted?.kind === "limitsWanted" ? wanted.functions : [];
      this.engine.handle([{ kind: "limits", limits: functions.map((fn) => [fn, this.perFunction]) }]);
    }
  }

  /** @returns its place, undefined when it was not accepted */
  publish(id: string, key = "fn", given: Partial<WireCall> = {}): number | undefined {
    const batch = ++this.#lastBatch;
    const bodies = packBodies([]);
    const meta = JSON.stringify({ name: id });
    const call = { key, acceptedAt: this.now, meta, bodyAt: 0, bodyBytes: 0, ...given };
    this.handle({ kind: "batch", batch, calls: [call], bodies, settlements: [] });
    const reply = this.said.findLast((message) => message.kind === "stored" && message.batch === batch);
    return reply?.kind === "stored" && reply.refused.length === 0 ? reply.places[0] : undefined;
  }

  settle(...settlements: Settlement[]): void {
    const wire = settlements.map((settlement) => ({ settlement }));
    this.handle({ kind: "batch", batch: 0, calls: [], bodies: packBodies([]), settlements: wire });
  }

  consume(concurrency = 10, perFunction = 10): void {
    this.perFunction = perFunction;
    this.handle({ kind: "consume", concurrency });
  }

  /** Calls handed out since the last time. */
  delivered(): DeliveredCall[] {
    const calls = this.said.flatMap((message) => (message.kind === "deliver" ? message.calls : []));
    this.said.splice(0, this.said.length, ...this.said.filter(({ kind }) => kind !== "deliver"));
    return calls;
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

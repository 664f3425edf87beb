import { randomUUID } from "node:crypto";
import { qualifiedName } from "../../../contract/functions.ts";
import type {
  BatchProgress,
  ConsumeOptions,
  Consumer,
  Deliver,
  Disposition,
  FinishedMember,
  NewCall,
  Outcome,
  PendingCallback,
  Queue,
  QueuedCall,
  Receipt,
  RefusalStreak,
} from "../../../gateway/queue/queue.ts";
import { type Hold, SlotlessCalls } from "../../../gateway/queue/worker/call-slots.ts";

/** A call and what has become of it. */
export interface MemoryRecord {
  readonly call: QueuedCall;
  state: "waiting" | "running" | "done" | "dead" | "expired";
  /** Attempts that count. */
  attempts: number;
  dueAt: number;
  refused?: RefusalStreak;
  reason?: string;
  outcome?: Outcome;
  callback?: PendingCallback;
}

const FINAL = new Set(["done", "dead", "expired"]);
const FINISH_AGAIN_MS = 10;

/** A queue in memory for one consumer: what the worker relies on, and a look at what it did. */
export class MemoryQueue implements Pick<Queue, "publish" | "consume" | "maxResultBytes"> {
  maxResultBytes = 1024 ** 2;
  readonly records: MemoryRecord[] = [];
  /** Thrown by the next publishes, one each. */
  readonly publishErrors: Error[] = [];
  readonly limitChanges: string[] = [];
  /** Most calls that were being published at a time. */
  maxPublishing = 0;
  #publishing = 0;
  /** Of batches. */
  readonly #failures = new Map<string, number>();
  #pump = () => {};

  async publish(given: NewCall): Promise<Receipt> {
    this.maxPublishing = Math.max(this.maxPublishing, ++this.#publishing);
    await new Promise((resolve) => setImmediate(resolve));
    this.#publishing--;
    const error = this.publishErrors.shift();
    if (error) throw error;
    const id = randomUUID();
    const call: QueuedCall = { ...given, id, callId: given.callId ?? id };
    const { batch } = call;
    const known =
      batch?.kind === "member"
        ? this.membersOf(batch.of).find(({ call: other }) => indexOf(other) === batch.index)
        : undefined;
    if (known) return { id: known.call.id, callId: known.call.callId, duplicate: true };
    this.records.push({ call, state: "waiting", attempts: 0, dueAt: call.notBefore ?? 0 });
    this.#pump();
    return { id, callId: call.callId, duplicate: false };
  }

  async consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer> {
    const underWay = new Map<MemoryRecord, { readonly stop: AbortController; readonly end: Promise<void> }>();
    const holds = new Map<MemoryRecord, Hold>();
    const slotless = new SlotlessCalls(options.concurrency);
    let closed = false;
    const pump = () => {
      if (closed) return;
      for (const record of this.records) {
        const taken = [...holds.values()].filter((hold) => hold === "both").length;
        if (record.state !== "waiting" || underWay.has(record) || taken >= options.concurrency) continue;
        const waitMs = record.dueAt - Date.now();
        const { function: name, namespace } = record.call;
        const own = [...holds].filter(
          ([{ call }, hold]) => hold !== "nothing" && call.function === name && call.namespace === namespace,
        );
        if (waitMs > 0) setTimeout(pump, waitMs).unref();
        else if (own.length < options.limitOf({ name, namespace })) start(record);
      }
    };
    const start = (record: MemoryRecord) => {
      const stop = new AbortController();
      record.state = "running";
      const slot = slotless.begin((hold) => {
        holds.set(record, hold);
        setImmediate(pump);
      });
      holds.set(record, "both");
      const { refused, callback } = record;
      const answered = callback && { callback, body: new Uint8Array() };
      const call = { ...record.call, ...(refused && { refused }), ...answered };
      const end = deliver(call, record.attempts + 1, stop.signal, slot)
        .catch((): Disposition => ({ kind: "retry", afterMs: 10 }))
        .then((disposition) => {
          slot.end();
          underWay.delete(record);
          holds.delete(record);
          if (stop.signal.aborted && disposition.kind !== "callback") record.state = "waiting";
          else settle(record, disposition);
          pump();
        });
      underWay.set(record, { stop, end });
    };
    const settle = (record: MemoryRecord, disposition: Disposition) => {
      if (disposition.kind === "retry") {
        if (disposition.counted !== false) record.attempts++;
        if (!disposition.refused) delete record.refused;
        else {
          const { times, since } = record.refused ?? { times: 0, since: Date.now() };
          record.refused = { times: times + 1, since };
        }
        record.state = "waiting";
        record.dueAt = Date.now() + disposition.afterMs;
        return;
      }
      if (disposition.kind === "callback") {
        if (!record.callback && disposition.callback.state !== "expired") record.attempts++;
        record.callback = disposition.callback;
        record.state = "waiting";
        record.dueAt = Date.now() + disposition.afterMs;
        return;
      }
      if (disposition.kind !== "expired") {
        if (!record.callback) record.attempts++;
        if (disposition.outcome) record.outcome = disposition.outcome;
      }
      if (disposition.kind === "dead") record.reason = disposition.reason;
      const { batch } = record.call;
      const spread = batch?.kind === "whole" && disposition.kind === "done";
      record.state = spread ? "running" : disposition.kind;
      const whole = batch?.kind === "member" ? this.records.find(({ call }) => call.id === batch.of) : undefined;
      if (whole) void finish(whole);
    };
    const finish = async (record: MemoryRecord): Promise<void> => {
      const { call: whole } = record;
      const members = this.membersOf(whole.id);
      const size = whole.batch?.size ?? 0;
      if (closed || members.length < size || !members.every(({ state }) => FINAL.has(state))) return;
      const count = (state: string) => members.filter((member) => member.state === state).length;
      const progress: BatchProgress = {
        size,
        done: count("done"),
        dead: count("dead"),
        expired: count("expired"),
        cancelled: 0,
      };
      const told = { ...whole, body: new Uint8Array() };
      try {
        const failures = this.#failures.get(whole.id) ?? 0;
        await options.finishBatch?.({ whole: told, progress, failures, members: () => finishedMembers(members) });
        record.state = "done";
      } catch {
        this.#failures.set(whole.id, (this.#failures.get(whole.id) ?? 0) + 1);
        setTimeout(() => void finish(record), FINISH_AGAIN_MS).unref();
      }
    };
    this.#pump = pump;
    const polling = setInterval(pump, 200).unref();
    pump();
    return {
      limitChanged: (ref) => {
        this.limitChanges.push(qualifiedName(ref));
        pump();
      },
      close: async (drainTimeoutMs) => {
        closed = true;
        clearInterval(polling);
        const ends = () => Promise.all([...underWay.values()].map(({ end }) => end));
        const timer = setTimeout(() => {
          for (const { stop } of underWay.values()) stop.abort(new Error("closing"));
        }, drainTimeoutMs);
        await ends();
        clearTimeout(timer);
      },
    };
  }

  membersOf(batchId: string): MemoryRecord[] {
    return this.records.filter(({ call: { batch } }) => batch?.kind === "member" && batch.of === batchId);
  }

  /** Whether all calls have come to their end. */
  get settled(): boolean {
    return this.records.every(({ state }) => FINAL.has(state));
  }

  dead(): MemoryRecord[] {
    return this.records.filter(({ state }) => state === "dead");
  }
}

function indexOf({ batch }: QueuedCall): number {
  return batch?.kind === "member" ? batch.index : -1;
}

async function* finishedMembers(members: readonly MemoryRecord[]): AsyncGenerator<FinishedMember> {
  for (const { call, state, reason, outcome } of members.toSorted((a, b) => indexOf(a.call) - indexOf(b.call))) {
    yield {
      index: indexOf(call),
      state: state as FinishedMember["state"],
      ...(reason !== undefined && { reason }),
      ...(outcome && { outcome }),
    };
  }
}

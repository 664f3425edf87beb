import { randomUUID } from "node:crypto";
import type { FunctionRef } from "../../contract/functions.ts";
import type {
  CallbackRequest,
  CallFilter,
  CallPage,
  CallRequest,
  CallState,
  CallStatus,
  DeadLetterFilter,
  DeadLetterPage,
  NewCall,
  Outcome,
  Receipt,
} from "../../gateway/queue/queue.ts";
import type { QueueStats } from "../../gateway/queue/stats.ts";

const STATS: QueueStats = {
  waiting: 0,
  inFlight: 0,
  dead: 0,
  oldestMs: 0,
  bytes: 0,
  limits: { calls: 100, bytes: 2000, functionCalls: 50, functionBytes: 1000 },
  functions: [],
};

/** A queue that remembers what it was asked and answers as a test says. Delivers nothing. */
export class FakeQueue {
  maxBodyBytes = 1000;
  readonly maxResultBytes = 1000;
  readonly published: NewCall[] = [];
  readonly statuses = new Map<string, CallStatus>();
  readonly outcomes = new Map<string, Outcome>();
  readonly cancelled: string[] = [];
  readonly callBacks = new Map<string, CallbackRequest>();
  readonly asked: unknown[] = [];
  readonly requests = new Map<string, CallRequest>();
  page: DeadLetterPage = { items: [] };
  calls: CallPage = { items: [] };
  stats_: QueueStats = STATS;
  /** Rejects everything while it is set. */
  failure: Error | undefined;
  /** Never answers while it is set. */
  silent = false;
  receipt: (call: NewCall) => Receipt = ({ callId }) => {
    const id = randomUUID();
    return { id, callId: callId ?? id, duplicate: false };
  };

  readonly deadLetters = {
    list: async (filter: DeadLetterFilter, page: object): Promise<DeadLetterPage> => {
      await this.#answer("list", filter, page);
      return this.page;
    },
    replay: async (filter: DeadLetterFilter): Promise<number> => {
      await this.#answer("replay", filter);
      return 3;
    },
    drop: async (filter: DeadLetterFilter): Promise<number> => {
      await this.#answer("drop", filter);
      return 4;
    },
  };

  /** Makes a call known, by its id and its call id. */
  put(status: Partial<CallStatus> & { readonly id: string }): void {
    const whole: CallStatus = {
      callId: status.id,
      queue: "faas-request",
      function: "f",
      namespace: "openfaas-fn",
      state: "waiting",
      attempts: 0,
      acceptedAt: Date.parse("2030-01-01T00:00:00Z"),
      ...status,
    };
    this.statuses.set(whole.id, whole);
    this.statuses.set(whole.callId, whole);
  }

  async publish(call: NewCall): Promise<Receipt> {
    await this.#answer("publish");
    this.published.push(call);
    return this.receipt(call);
  }

  async find(id: string): Promise<CallStatus | undefined> {
    await this.#answer("find", id);
    return this.statuses.get(id);
  }

  async result(id: string): Promise<Outcome | undefined> {
    await this.#answer("result", id);
    return this.outcomes.get(id);
  }

  async cancel(id: string): Promise<CallState | undefined> {
    await this.#answer("cancel", id);
    this.cancelled.push(id);
    return this.statuses.get(id)?.state;
  }

  async callBack(id: string): Promise<CallbackRequest> {
    await this.#answer("callBack", id);
    return this.callBacks.get(id) ?? "unknown";
  }

  async purge(ref: FunctionRef): Promise<number> {
    await this.#answer("purge", ref);
    return 5;
  }

  async list(filter: CallFilter, page: object): Promise<CallPage> {
    await this.#answer("calls", filter, page);
    return this.calls;
  }

  async request(id: string, bodyBytes: number): Promise<CallRequest | undefined> {
    await this.#answer("request", id, bodyBytes);
    return this.requests.get(id);
  }

  async stats(): Promise<QueueStats> {
    await this.#answer("stats");
    return this.stats_;
  }

  async #answer(...asked: unknown[]): Promise<void> {
    this.asked.push(asked);
    if (this.silent) await new Promise<never>(() => {});
    if (this.failure) throw this.failure;
  }
}

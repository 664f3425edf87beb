import type { CallAnswer } from "../function-caller.ts";
import type { AnswerCollector } from "./answer-collector.ts";
import { MicroBatch } from "./micro-batch.ts";
import { SharedDeadline } from "./shared-deadline.ts";

/** How long a call may take from its start, in milliseconds: until its answer begins, then until it has ended. */
export type TimeLimit = (begun: boolean) => number;

interface UnderWay {
  readonly collector: AnswerCollector;
  readonly limit: TimeLimit;
  readonly startedAt: number;
  /** Of the look after the first one; most calls need none. */
  again?: NodeJS.Timeout;
}

/** Lists of deadlines are looked through for unused ones when there are more. */
const MANY_LISTS = 64;

/** The calls of one caller that have not ended yet. */
export class GatewayRequests {
  /** Whose ends their answers are told with. */
  readonly microBatch = new MicroBatch();
  readonly #all = new Set<UnderWay>();
  /** By the time that they give: calls of most functions have the same. */
  readonly #deadlines = new Map<number, SharedDeadline<UnderWay>>();

  /**
   * Its time begins. When that is over the answer is 504 of the platform.
   * @param limit asked again before a call is cut: meanwhile its answer may have begun, and its function have changed
   * @param start begins the call
   */
  async run(collector: AnswerCollector, limit: TimeLimit, start: () => void): Promise<CallAnswer> {
    const call: UnderWay = { collector, limit, startedAt: performance.now() };
    const deadline = this.#deadlineOf(limit(false));
    this.#all.add(call);
    deadline.add(call);
    try {
      start();
      return await collector.answer;
    } finally {
      this.#all.delete(call);
      deadline.delete(call);
      clearTimeout(call.again);
    }
  }

  #deadlineOf(ms: number): SharedDeadline<UnderWay> {
    const known = this.#deadlines.get(ms);
    if (known) return known;
    if (this.#deadlines.size >= MANY_LISTS) {
      for (const [key, { size }] of this.#deadlines) if (size === 0) this.#deadlines.delete(key);
    }
    const deadline = new SharedDeadline<UnderWay>(ms, (call) => this.#look(call));
    this.#deadlines.set(ms, deadline);
    return deadline;
  }

  #look(call: UnderWay): void {
    const { collector, limit, startedAt } = call;
    const leftMs = startedAt + limit(collector.begun) - performance.now();
    if (leftMs <= 0) collector.cut(504);
    else call.again = setTimeout(() => this.#look(call), Math.ceil(leftMs)).unref();
  }

  /** Cuts all of them. */
  close(): void {
    for (const deadline of this.#deadlines.values()) deadline.close();
    this.#deadlines.clear();
    for (const { collector } of [...this.#all]) collector.cut(502);
  }
}

import { parseBoundedJson } from "../../contract/bounded-json.ts";
import { FaasError } from "../../contract/errors.ts";
import type { Logger } from "../../kit/log.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import { decodeJsonEvent, encodeJsonEvent } from "../codec/json.ts";
import { Evaluator } from "./evaluator.ts";
import { FairQueue } from "./fair-queue.ts";
import type { EvaluatorAnswer } from "./protocol.ts";

export interface TransformsOptions {
  /** That evaluate at a time. */
  readonly processes?: number;
  /** For one evaluation. */
  readonly timeLimitMs?: number;
  /** Of each process's heap. */
  readonly memoryMb?: number;
  /** JSON that an expression may give, in characters. */
  readonly maxResultChars?: number;
  /** Evaluations that wait for a process. */
  readonly maxWaiting?: number;
  /** A process that has had nothing to do for so long ends. */
  readonly idleMs?: number;
  readonly log: Pick<Logger, "warn">;
}

/** Of an expression. */
export const MAX_EXPRESSION_CHARS = 16 * 1024;
const MAX_RESULT_DEPTH = 100;
/** A start that takes longer has failed; machines are busy at times. */
const START_MS = 30_000;
/** Over its limit by so much, an evaluation does not end by itself: its process is ended. */
const GRACE_MS = 1_000;
/** JSONata's code for an evaluation that it has ended itself. */
const TIMED_OUT = "D1012";

interface Job {
  readonly expression: string;
  readonly input?: string;
  readonly variables?: string;
  readonly done: PromiseWithResolvers<string | undefined>;
}

/** A process and what it is at. */
interface Seat {
  evaluator: Evaluator | undefined;
  ready: boolean;
  job: Job | undefined;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Evaluates JSONata in processes of its own, which have limits of time and memory. One that does not end or has no memory
 * left is ended and replaced; that costs the evaluation that did it, and no other. Nothing is started before it is needed.
 */
export class Transforms {
  readonly #options: Required<TransformsOptions>;
  readonly #seats = new Set<Seat>();
  readonly #waiting = new FairQueue<Job>();
  /** Expressions under way, and how often. */
  readonly #running = new Map<string, number>();
  #nextId = 0;
  #closed = false;

  constructor(options: TransformsOptions) {
    this.#options = {
      processes: 2,
      timeLimitMs: 1_000,
      memoryMb: 64,
      maxResultChars: 1024 * 1024,
      maxWaiting: 1_000,
      idleMs: 60_000,
      ...options,
    };
  }

  /**
   * Reads an expression without evaluating it.
   * @param field it is from, for the error
   * @throws {FaasError} `invalid`, with what is wrong and where
   */
  async check(expression: string, field: string): Promise<void> {
    try {
      await this.#run(expression);
    } catch (error) {
      if (!(error instanceof FaasError) || error.kind !== "unprocessable") throw error;
      throw new FaasError("invalid", `${field}: ${error.message}`, { cause: error });
    }
  }

  /**
   * What an expression makes of an event. Its input is the event in the JSON format: `data` where that is JSON or text,
   * `data_base64` otherwise.
   * @throws {FaasError} `unprocessable` when it fails or what it gives is no whole event; `timeout`; `overloaded` and
   * `unavailable` when it was not evaluated, and may be later
   */
  async transform(expression: string, event: CloudEvent): Promise<CloudEvent> {
    const text = await this.#run(expression, encodeJsonEvent(event).toString());
    if (text === undefined) throw failed("gives nothing, and must give a whole event");
    try {
      return decodeJsonEvent(Buffer.from(text));
    } catch (error) {
      if (!(error instanceof FaasError)) throw error;
      throw new FaasError("unprocessable", `transform: does not give a whole event: ${error.message}`, {
        cause: error,
      });
    }
  }

  /**
   * The JSON value that an expression gives; undefined when it gives nothing.
   * @param input JSON
   * @param variables of the expression, by name without `$`
   * @throws {FaasError} as {@link transform}
   */
  async evaluate(expression: string, input: string, variables: Record<string, unknown> = {}): Promise<unknown> {
    const text = await this.#run(expression, input, JSON.stringify(variables));
    if (text === undefined) return undefined;
    return parseBoundedJson(text, { maxBytes: text.length, maxDepth: MAX_RESULT_DEPTH }, "transform");
  }

  /** Ends all processes; what is under way fails. May be called twice. */
  close(): void {
    this.#closed = true;
    for (const { done } of this.#waiting.clear()) done.reject(stopped());
    for (const seat of this.#seats) seat.evaluator?.end();
  }

  #run(expression: string, input?: string, variables?: string): Promise<string | undefined> {
    if (this.#closed) throw stopped();
    if (expression.length > MAX_EXPRESSION_CHARS) {
      throw failed(`has more than ${MAX_EXPRESSION_CHARS} characters`);
    }
    if (this.#waiting.size >= this.#options.maxWaiting) {
      throw new FaasError("overloaded", "transform: too many wait to be evaluated");
    }
    const done = Promise.withResolvers<string | undefined>();
    this.#waiting.add(expression, {
      expression,
      ...(input !== undefined && { input }),
      ...(variables !== undefined && { variables }),
      done,
    });
    this.#assign();
    return done.promise;
  }

  #assign(): void {
    const { processes } = this.#options;
    let starting = 0;
    for (const seat of this.#seats) {
      if (!seat.ready) starting++;
      else if (!seat.job && !this.#give(seat)) break;
    }
    // One expression never has all processes, so that one which hangs does not stop the others.
    if (starting < this.#waiting.size && this.#seats.size < processes) this.#start();
  }

  #give(seat: Seat): boolean {
    const { processes, timeLimitMs, maxResultChars } = this.#options;
    const most = Math.max(1, processes - 1);
    const next = this.#waiting.take((expression) => (this.#running.get(expression) ?? 0) < most);
    if (!next) return false;
    const { expression, input, variables } = next.item;
    clearTimeout(seat.timer);
    seat.job = next.item;
    this.#running.set(expression, (this.#running.get(expression) ?? 0) + 1);
    seat.timer = setTimeout(() => this.#hangs(seat), timeLimitMs + GRACE_MS);
    seat.evaluator?.ask({
      id: ++this.#nextId,
      expression,
      ...(input !== undefined && { input }),
      ...(variables !== undefined && { variables }),
      timeLimitMs,
      maxResultChars,
    });
    return true;
  }

  #start(): void {
    const seat: Seat = { ready: false, job: undefined, timer: undefined, evaluator: undefined };
    try {
      seat.evaluator = new Evaluator({
        memoryMb: this.#options.memoryMb,
        onReady: () => {
          clearTimeout(seat.timer);
          seat.ready = true;
          this.#rest(seat);
          this.#assign();
        },
        onAnswer: (answer) => this.#answered(seat, answer),
        onEnd: () => this.#ended(seat),
      });
    } catch (error) {
      // No descriptors, say.
      this.#noneStarts(error);
      return;
    }
    this.#seats.add(seat);
    // Keeps this process until it is clear what becomes of what waits.
    seat.timer = setTimeout(() => seat.evaluator?.end(), START_MS);
  }

  /** What waits for a process that cannot be started may be evaluated later. */
  #noneStarts(error?: unknown): void {
    if ([...this.#seats].some(({ ready }) => ready)) return;
    this.#options.log.warn({ err: error }, "no process can be started that evaluates expressions");
    for (const { done } of this.#waiting.clear()) done.reject(unavailable());
  }

  #answered(seat: Seat, answer: Exclude<EvaluatorAnswer, { kind: "ready" }>): void {
    const job = this.#take(seat);
    if (!job) return;
    if (answer.kind === "value") job.done.resolve(answer.text);
    else if (answer.code === TIMED_OUT) job.done.reject(this.#late());
    else {
      const { message, code, position } = answer;
      const place = [code, ...(position === undefined ? [] : [`at character ${position}`])].filter(Boolean).join(", ");
      job.done.reject(failed(`${message}${place && ` (${place})`}`));
    }
    this.#rest(seat);
    this.#assign();
  }

  #rest(seat: Seat): void {
    seat.evaluator?.rest();
    seat.timer = setTimeout(() => seat.evaluator?.end(), this.#options.idleMs).unref();
  }

  #hangs(seat: Seat): void {
    const job = this.#take(seat);
    this.#options.log.warn({ expression: job?.expression.slice(0, 200) }, "an expression took too long; it was ended");
    job?.done.reject(this.#late());
    seat.evaluator?.end();
  }

  /** The process is gone: of what it was at, most likely. */
  #ended(seat: Seat): void {
    clearTimeout(seat.timer);
    this.#seats.delete(seat);
    const job = this.#take(seat);
    if (this.#closed) {
      job?.done.reject(stopped());
      return;
    }
    if (job) {
      this.#options.log.warn({ expression: job.expression.slice(0, 200) }, "the process of an expression has ended");
      job.done.reject(failed(`takes more than ${this.#options.memoryMb} MB of memory`));
    }
    if (seat.ready) this.#assign();
    else this.#noneStarts();
  }

  #take(seat: Seat): Job | undefined {
    const { job } = seat;
    clearTimeout(seat.timer);
    seat.job = undefined;
    if (!job) return undefined;
    const left = (this.#running.get(job.expression) ?? 1) - 1;
    if (left > 0) this.#running.set(job.expression, left);
    else this.#running.delete(job.expression);
    return job;
  }

  #late(): FaasError {
    return new FaasError("timeout", `transform: takes longer than ${this.#options.timeLimitMs} ms`);
  }
}

function failed(message: string): FaasError {
  return new FaasError("unprocessable", `transform: ${message}`);
}

function unavailable(): FaasError {
  return new FaasError("unavailable", "transform: no process can be started that evaluates it");
}

function stopped(): FaasError {
  return new FaasError("unavailable", "transform: the platform is stopping");
}

import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { FaasError, STATUS, toFaasError } from "../../contract/errors.ts";
import { isUntyped, MAX_ANSWER_HEAD_BYTES, MAX_INTERIM_ANSWERS } from "../../http/forwarding.ts";
import { isUnheard } from "../core/unheard.ts";
import { ColdWait } from "./cold-wait.ts";
import type { AnswerHeaders, Exchange, OpenCall } from "./exchange.ts";
import type { FunctionEntry } from "./function-entry.ts";
import { buildClientHeaders, buildClientTrailers, buildInterimHeaders, type CallHeaders } from "./headers.ts";
import { failureAnswer } from "./platform-answers.ts";
import type { Replica } from "./replica.ts";
import { UntypedHead } from "./untyped-head.ts";

/** What a call needs of the proxy that it belongs to. */
export interface CallContext {
  /** Asks the provider for replicas of a function that has none. */
  readonly wake: (entry: FunctionEntry) => void;
  /** Longest wait for a replica, in milliseconds. */
  readonly holdTimeoutMs: number;
  readonly servedBy: string;
}

/** Failures before a connection that are the gateway's, not the replica's. */
const OUR_OWN = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EADDRNOTAVAIL",
  "UND_ERR_INVALID_ARG",
  "UND_ERR_NOT_SUPPORTED",
]);

const TOO_LARGE_A_HEAD = `sent an answer that cannot be passed on: its headers have more than ${MAX_ANSWER_HEAD_BYTES / 1024} KiB`;

/** How long interim answers may put off the final one. */
const MAX_INTERIM_MS = 120_000;

/** Early hints that are passed on; the others are only counted. */
const MAX_HINTS = 10;

/** Breaks off an answer that says that the function has not got the call. */
const UNHEARD = new Error("the function does not listen yet");

type Controller = Dispatcher.DispatchController;
type UpstreamHeaders = Record<string, string | string[] | undefined>;

/**
 * One call on its way to a replica. A replica that refuses the connection is passed over for another; once the request
 * has been given to a connection it is never sent again, as the function may have run, but when its watchdog says that it
 * could not even begin to.
 */
export class FunctionCall implements Dispatcher.DispatchHandler, OpenCall {
  readonly #context: CallContext;
  readonly #entry: FunctionEntry;
  readonly #exchange: Exchange;
  readonly #url: string;
  readonly #headers: CallHeaders;
  #upstreamHeaders: string[] = [];
  #body: Parameters<OpenCall["send"]>[0] = null;
  #replica: Replica | undefined;
  #refused: Replica | undefined;
  #controller: Controller | undefined;
  #holding: AbortController | undefined;
  #place = 0;
  #holdDeadline = 0;
  #wait: ColdWait | undefined;
  #startedAt = 0;
  #sentAt = 0;
  /** Of the answer; 0 until the replica has given one. */
  #status = 0;
  /** Whether any of it has been passed on. */
  #begun = false;
  #untyped: UntypedHead | undefined;
  #callerLeft = false;
  #interimAnswers = 0;
  /** Whether the load meter has it. */
  #measured = false;

  constructor(context: CallContext, entry: FunctionEntry, exchange: Exchange, url: string, headers: CallHeaders) {
    this.#context = context;
    this.#entry = entry;
    this.#exchange = exchange;
    this.#url = url;
    this.#headers = headers;
  }

  start(): void {
    this.#upstreamHeaders = this.#exchange.upstreamHeaders(this.#headers);
    this.#measured = true;
    this.#entry.load.enter(performance.now());
    this.#exchange.open(this, this.#entry.picture.timeouts?.readMs);
  }

  send(body: Parameters<OpenCall["send"]>[0]): void {
    this.#body = body;
    this.#attempt();
  }

  #attempt(): void {
    if (this.#callerLeft) return;
    const choice = this.#entry.choose(this.#refused);
    const others = !this.#holding && this.#entry.held.count > 0;
    if (choice.kind === "replica" && !others) this.#dispatch(choice.replica);
    else if (choice.kind === "full" && !this.#holding && !this.#entry.queues) this.#rejectAsFull();
    else this.#hold().catch((error: unknown) => this.#fail(toFaasError(error)));
  }

  async #hold(): Promise<void> {
    const first = !this.#holding;
    this.#holding ??= new AbortController();
    if (first) {
      this.#place = this.#entry.held.newPlace();
      this.#holdDeadline = performance.now() + this.#context.holdTimeoutMs;
      this.#wait = new ColdWait();
    }
    this.#refused = undefined;
    const { problem } = this.#entry.picture;
    try {
      if (problem && this.#entry.readyReplicas === 0) {
        throw new FaasError("unavailable", `function ${this.#entry.qualifiedName} cannot start: ${problem}`);
      }
      const waiting = this.#entry.held.wait({
        place: this.#place,
        again: !first,
        deadline: this.#holdDeadline,
        signal: this.#holding.signal,
      });
      this.#context.wake(this.#entry);
      // There may be a place: it came only behind others that are on their way to theirs.
      if (first) this.#entry.releaseHeld();
      await waiting;
    } catch (error) {
      if (!this.#callerLeft) this.#fail(error as FaasError);
      return;
    }
    this.#attempt();
  }

  #dispatch(replica: Replica): void {
    const now = performance.now();
    if (this.#startedAt === 0) this.#count(now);
    this.#wait?.sent();
    this.#replica = replica;
    this.#sentAt = now;
    replica.outstanding++;
    replica.silence.sent(now);
    const timeoutMs = this.#entry.answerTimeoutMs;
    replica.pool.dispatch(
      {
        path: this.#url,
        method: this.#exchange.method as Dispatcher.HttpMethod,
        headers: this.#upstreamHeaders,
        body: this.#body as Buffer | Readable | null,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      },
      this,
    );
  }

  #count(now: number): void {
    this.#startedAt = now;
    this.#entry.meter.start();
  }

  /** @param inVain whether its replica has let someone wait for too long */
  #release(inVain = false): void {
    const replica = this.#replica;
    if (!replica) return;
    this.#replica = undefined;
    replica.outstanding--;
    if (this.#status === 0) replica.silence.unanswered(inVain);
    this.#entry.releaseHeld();
  }

  #end(status: number, inVain = false): void {
    this.#untyped?.drop();
    this.#release(inVain);
    const now = performance.now();
    this.#leave(now);
    if (this.#startedAt === 0) return;
    this.#entry.meter.end(status, (now - this.#startedAt) / 1000);
    this.#startedAt = 0;
  }

  #leave(now: number): void {
    if (!this.#measured) return;
    this.#measured = false;
    this.#entry.load.leave(now);
  }

  #rejectAsFull(): void {
    const limit = this.#entry.picture.maxInflight ?? 0;
    this.#fail(
      new FaasError("overloaded", `Concurrent request limit exceeded. Max concurrent requests: ${limit}`),
      "faas-middleware",
    );
  }

  #fail(error: FaasError, internal = "proxy"): void {
    if (this.#startedAt === 0) this.#count(performance.now()); // refused before it was sent: it counts among the answers all the same
    this.#end(STATUS[error.kind], error.kind === "timeout");
    if (this.#begun) {
      this.#exchange.breakOff();
      return;
    }
    const { held } = this.#entry;
    const again = error.kind === "overloaded" ? held.retryAfterSeconds : error.kind === "unavailable" ? 1 : undefined;
    this.#exchange.refuse(failureAnswer(error, internal, this.#ownHeaders(), again));
  }

  #ownHeaders(): Record<string, string> {
    return {
      "x-call-id": this.#headers.callId,
      "x-start-time": this.#headers.startTime,
      "x-served-by": this.#context.servedBy,
    };
  }

  leave(): void {
    if (this.#callerLeft) return;
    this.#callerLeft = true;
    if (!this.#replica) this.#leave(performance.now()); // sent calls leave when the replica has let go of them
    this.#holding?.abort();
    this.#controller?.abort(new Error("the caller has left"));
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    this.#replica?.trust();
    if (this.#callerLeft) controller.abort(new Error("the caller has left"));
  }

  onResponseStart(controller: Controller, status: number, headers: UpstreamHeaders, statusMessage?: string): void {
    if (status < 200) {
      if (this.#countInterim(controller, status) && status === 103) this.#inform(status, headers);
      return;
    }
    if (status === 500 && this.#isUnheard(headers)) {
      controller.abort(UNHEARD);
      return;
    }
    if (this.#replica) this.#replica.heard = true;
    const answerHeaders = buildClientHeaders(headers, this.#ownHeaders(), status);
    this.#wait?.tell(answerHeaders, this.#replica, this.#entry.meter);
    this.#status = status;
    const now = performance.now();
    this.#replica?.silence.answered(now);
    this.#entry.pace.note(now - this.#sentAt, now);
    if (!isUntyped(status, this.#exchange.method, answerHeaders)) {
      this.#begin(controller, statusMessage, answerHeaders);
      return;
    }
    this.#untyped = new UntypedHead((type) => {
      this.#untyped = undefined;
      if (type !== undefined) answerHeaders["content-type"] = type;
      this.#begin(controller, statusMessage, answerHeaders);
    });
  }

  /** Of a replica that has ever answered otherwise it says that its server is gone, and of a stream there is no other copy. */
  #isUnheard(headers: UpstreamHeaders): boolean {
    const replica = this.#replica;
    if (!replica || replica.heard || !(this.#body === null || Buffer.isBuffer(this.#body))) return false;
    return isUnheard(500, headers, performance.now() - replica.announcedAt);
  }

  #begin(controller: Controller, reason: string | undefined, headers: AnswerHeaders): void {
    try {
      this.#exchange.begin(this.#status, reason, headers);
      this.#begun = true;
    } catch (cause) {
      const why = `function ${this.#entry.qualifiedName} sent an answer that cannot be passed on`;
      controller.abort(new FaasError("upstream", why, { cause }));
    }
  }

  /**
   * Each of them lets the time for the answer begin anew, so a few are enough.
   * @returns whether the call goes on
   */
  #countInterim(controller: Controller, status: number): boolean {
    this.#interimAnswers++;
    const late = performance.now() - this.#startedAt > MAX_INTERIM_MS;
    if (status >= 100 && this.#interimAnswers <= MAX_INTERIM_ANSWERS && !late) return true;
    controller.abort(new FaasError("upstream", `function ${this.#entry.qualifiedName} sends no final answer`));
    return false;
  }

  #inform(status: number, headers: UpstreamHeaders): void {
    if (this.#interimAnswers > MAX_HINTS) return;
    const hints = buildInterimHeaders(headers);
    if (hints) this.#exchange.inform(status, hints);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#untyped?.release(chunk);
    this.#exchange.data(chunk, controller);
  }

  onResponseEnd(_controller: Controller, trailers: UpstreamHeaders): void {
    this.#untyped?.release();
    this.#end(this.#status);
    this.#exchange.end(buildClientTrailers(trailers));
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    const replica = this.#replica;
    if (this.#callerLeft) {
      this.#end(499, replica?.silence.isStalled(this.#entry.pace, performance.now())); // nginx's code for a caller that left; nobody receives it, the metrics show it
      return;
    }
    if (error === UNHEARD) this.#controller = undefined;
    if (error instanceof FaasError) {
      this.#fail(error);
      return;
    }
    const { code } = error as NodeJS.ErrnoException;
    if (!this.#controller && replica && !OUR_OWN.has(code ?? "")) {
      // Never given to a connection: another replica may have it.
      this.#entry.avoid(replica);
      this.#refused = replica;
      this.#release();
      this.#attempt();
      return;
    }
    if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") {
      this.#fail(new FaasError("timeout", `function ${this.#entry.qualifiedName} did not answer in time`));
    } else if (code === "UND_ERR_HEADERS_OVERFLOW") {
      this.#fail(new FaasError("upstream", `function ${this.#entry.qualifiedName} ${TOO_LARGE_A_HEAD}`));
    } else if (OUR_OWN.has(code ?? "")) {
      this.#fail(new FaasError("unavailable", `the gateway cannot send the call: ${code}`, { cause: error }));
    } else {
      this.#fail(new FaasError("internal", `Can't reach service for: ${this.#entry.name}.`, { cause: error }));
    }
  }
}

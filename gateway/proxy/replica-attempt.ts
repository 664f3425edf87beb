import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import { FaasError } from "../../contract/errors.ts";
import type { AnswerControl, AnswerHandler } from "../../http/client/client-call.ts";
import { isUntyped, MAX_ANSWER_HEAD_BYTES, MAX_INTERIM_ANSWERS } from "../../http/forwarding.ts";
import { isOffered } from "../../http/upgrade-rules.ts";
import { readProviderAnswer } from "../core/provider-answer.ts";
import { isUnheard } from "../core/unheard.ts";
import { AwaitedBody } from "./awaited-body.ts";
import type { ColdWait } from "./cold-wait.ts";
import type { AnswerHeaders, Exchange } from "./exchange.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { FunctionMeter } from "./function-meter.ts";
import {
  buildClientHeaders,
  buildClientTrailers,
  buildInterimHeaders,
  buildSwitchHeaders,
  SWITCHING_PROTOCOLS,
} from "./headers.ts";
import type { ReplicaConnection } from "./replica.ts";
import { dispatchTrailed } from "./trailed-request.ts";
import { UntypedHead } from "./untyped-head.ts";

/** Failures before a connection that are the gateway's, not the replica's. */
const OUR_OWN = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EADDRNOTAVAIL",
  "UND_ERR_INVALID_ARG",
  "UND_ERR_NOT_SUPPORTED",
  "BAD_REQUEST_HEAD",
]);

const TIMEOUTS = new Set(["HEAD_TIMEOUT", "BODY_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"]);

const TOO_LARGE_A_HEAD = `sent an answer that cannot be passed on: its headers have more than ${MAX_ANSWER_HEAD_BYTES / 1024} KiB`;

/** How long interim answers may put off the final one. */
const MAX_INTERIM_MS = 120_000;

/** Early hints that are passed on; the others are only counted. */
const MAX_HINTS = 10;

/** nginx's code for a caller that left; nobody receives it, the metrics show it. */
const CALLER_LEFT = 499;

/** Breaks off an answer that says that the function has not got the call. */
const UNHEARD = new Error("the function does not listen yet");
/** And one that says that the provider could not send it anywhere. */
const UNDELIVERED = new Error("the provider has no replica of it");

type Controller = AnswerControl;
type UpstreamHeaders = Record<string, string | string[] | undefined>;

/** The request as replicas get it. */
export interface ReplicaRequest {
  readonly url: string;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer | NodeJS.ReadableStream | null;
}

/** The call that an attempt belongs to. Each attempt ends with one of {@link end}, {@link fail} and {@link retry}. */
export interface AttemptedCall {
  readonly entry: FunctionEntry;
  readonly exchange: Exchange;
  /** Counts it. */
  readonly meter: FunctionMeter;
  readonly callerLeft: boolean;
  /** Absent unless the call had to wait for a replica. */
  readonly coldWait: ColdWait | undefined;
  /** Headers of the platform's own for the answer. */
  ownHeaders(): Record<string, string>;
  /** Adds which version has answered, and how it was chosen. */
  tellVersion(headers: AnswerHeaders, version: string | undefined): void;
  end(status: number): void;
  /** @param begun whether some of an answer has been passed on */
  fail(error: FaasError, begun: boolean): void;
  /** An answer that came through the provider does not fit what is known of the function. @param replaced as of `ProviderClient.doubt` */
  doubt(replaced: boolean): void;
  /** The replica has not got the request: another one may have it. */
  retry(refused: ReplicaConnection): void;
}

/** A call at one replica, from its sending to the end of the answer. */
export class ReplicaAttempt implements AnswerHandler, Dispatcher.DispatchHandler {
  readonly #call: AttemptedCall;
  readonly #replica: ReplicaConnection;
  readonly #sentAt: number;
  /** Whether what is sent could be sent again. */
  #repeatable = true;
  /** Once the request has been given to a connection. */
  #controller: Controller | undefined;
  /** Once the replica has answered. */
  #status: number | undefined;
  /** Whether any of the answer has been passed on. */
  #begun = false;
  #untyped: UntypedHead | undefined;
  #interimAnswers = 0;
  #over = false;

  /**
   * @param replica where the call has its place already
   * @param now by `performance.now()`
   */
  constructor(call: AttemptedCall, replica: ReplicaConnection, now: number) {
    this.#call = call;
    this.#replica = replica;
    this.#sentAt = now;
    replica.responsiveness.sent(now);
  }

  send({ url, headers, body }: ReplicaRequest): void {
    const { entry, exchange } = this.#call;
    const timeoutMs = entry.answerTimeoutMs;
    const { prefix } = this.#replica;
    this.#repeatable = body === null || Buffer.isBuffer(body);
    if (body instanceof AwaitedBody && body.announced !== undefined && !this.#replica.isProvider) {
      const { address } = this.#replica;
      dispatchTrailed({ address, path: url, method: exchange.method, headers, body, timeoutMs }, this);
      return;
    }
    const { client } = this.#replica;
    if (client && exchange.protocols === undefined && (body === null || Buffer.isBuffer(body))) {
      client.send({ method: exchange.method, path: url, headers, body }, timeoutMs, this);
      return;
    }
    this.#replica.pool.dispatch(
      {
        path: prefix === "" ? url : prefix + url,
        method: exchange.method as Dispatcher.HttpMethod,
        headers,
        body: body as Dispatcher.DispatchOptions["body"] & object,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        upgrade: exchange.protocols ?? null,
      },
      this,
    );
  }

  abort(): void {
    this.#controller?.abort(new Error("the caller has left"));
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (!this.#replica.isProvider) this.#replica.trust();
    const { record } = this.#call.exchange;
    if (record) record.connectedAt = performance.now();
    if (this.#call.callerLeft) this.abort();
  }

  onResponseStart(controller: Controller, status: number, headers: UpstreamHeaders, reason?: string): void {
    if (status === SWITCHING_PROTOCOLS) {
      controller.abort(this.#unasked());
      return;
    }
    if (status < 200) {
      if (this.#countInterim(controller, status) && (status === 103 || status === 102)) this.#inform(status, headers);
      return;
    }
    if (status === 500 && this.#isUnheard(headers)) {
      controller.abort(UNHEARD);
      return;
    }
    if (this.#replica.isProvider && this.#isUndelivered(status, headers)) {
      controller.abort(UNDELIVERED);
      return;
    }
    const { entry, exchange, coldWait, meter } = this.#call;
    this.#answered(status);
    const answerHeaders = buildClientHeaders(headers, this.#call.ownHeaders(), status);
    this.#call.tellVersion(answerHeaders, this.#replica.version);
    coldWait?.tell(answerHeaders, this.#replica, meter, entry.startups);
    if (!isUntyped(status, exchange.method, answerHeaders)) {
      this.#begin(controller, status, reason, answerHeaders);
      return;
    }
    this.#untyped = new UntypedHead((type) => {
      this.#untyped = undefined;
      if (type !== undefined) answerHeaders["content-type"] = type;
      this.#begin(controller, status, reason, answerHeaders);
    });
  }

  /** Its connection goes on with another protocol, and the call with it: it is under way until both are closed. */
  onRequestUpgrade(_controller: Controller, status: number, headers: UpstreamHeaders, socket: Duplex): void {
    const { entry, exchange, coldWait, meter } = this.#call;
    this.#replica.trust();
    this.#answered(status);
    const { upgrade } = headers;
    let failure = this.#call.callerLeft ? new Error("the caller has left") : undefined;
    if (typeof upgrade !== "string" || !isOffered(upgrade, exchange.protocols ?? "")) failure ??= this.#unasked();
    else if (!failure) {
      const answerHeaders = buildSwitchHeaders(headers, this.#call.ownHeaders(), upgrade);
      this.#call.tellVersion(answerHeaders, this.#replica.version);
      coldWait?.tell(answerHeaders, this.#replica, meter, entry.startups);
      try {
        exchange.switchProtocols(answerHeaders, socket, () => {
          this.#leave(false);
          this.#call.end(status);
        });
        return;
      } catch (cause) {
        failure = this.#unsendable(cause);
      }
    }
    socket.on("error", () => {}); // it is given up, however it takes that
    socket.destroy();
    this.onResponseError(undefined, failure);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#untyped?.release(chunk);
    this.#call.exchange.data(chunk, controller);
  }

  onResponseEnd(_controller: Controller, trailers: UpstreamHeaders): void {
    this.#untyped?.release();
    this.#leave(false);
    this.#call.end(this.#status as number);
    this.#call.exchange.end(buildClientTrailers(trailers));
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    const { callerLeft, entry } = this.#call;
    if (callerLeft) {
      const stalled = this.#replica.responsiveness.isStalled(entry.pace, performance.now());
      this.#leave(stalled);
      this.#call.end(CALLER_LEFT);
    } else if (error === UNHEARD || error === UNDELIVERED || this.#isRefused(error)) {
      entry.avoid(this.#replica);
      this.#leave(false);
      this.#call.retry(this.#replica);
    } else {
      const failure = this.#explain(error);
      this.#leave(failure.kind === "timeout");
      this.#call.fail(failure, this.#begun);
    }
  }

  #answered(status: number): void {
    const now = performance.now();
    this.#status = status;
    this.#replica.heard = true;
    this.#replica.responsiveness.answered(now);
    this.#call.entry.pace.note(now - this.#sentAt, now);
    this.#call.meter.answered((now - this.#sentAt) / 1000);
  }

  /** The replica has one call less. @param timedOut whether it has let someone wait for too long */
  #leave(timedOut: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#untyped?.drop();
    this.#replica.occupancy.leave();
    if (this.#status === undefined) this.#replica.responsiveness.unanswered(timedOut);
    this.#call.entry.releaseHeld();
  }

  /** Never given to a connection, and not for a reason of our own. */
  #isRefused(error: Error): boolean {
    return !this.#controller && !(error instanceof FaasError) && !OUR_OWN.has(codeOf(error));
  }

  /** Of a replica that has ever answered otherwise it says that its server is gone, and of a stream there is no other copy. */
  #isUnheard(headers: UpstreamHeaders): boolean {
    if (this.#replica.heard || !this.#repeatable) return false;
    return isUnheard(500, headers, performance.now() - this.#replica.announcedAt);
  }

  /** Looks at an answer that came through the provider, which may be its own. */
  #isUndelivered(status: number, headers: UpstreamHeaders): boolean {
    const told = readProviderAnswer(status, headers);
    if (told === "functions") this.#replica.trust();
    else this.#call.doubt(told === "replaced");
    return this.#repeatable && (told === "undelivered" || told === "replaced");
  }

  #begin(controller: Controller, status: number, reason: string | undefined, headers: AnswerHeaders): void {
    try {
      this.#call.exchange.begin(status, reason, headers);
      this.#begun = true;
    } catch (cause) {
      controller.abort(this.#unsendable(cause));
    }
  }

  #unsendable(cause: unknown): FaasError {
    if (cause instanceof FaasError) return cause;
    const why = `function ${this.#call.entry.qualifiedName} sent an answer that cannot be passed on`;
    return new FaasError("upstream", why, { cause });
  }

  #unasked(): FaasError {
    const why = `function ${this.#call.entry.qualifiedName} switched to a protocol that nobody had asked for`;
    return new FaasError("upstream", why);
  }

  /**
   * Each of them lets the time for the answer begin anew, so a few are enough.
   * @returns whether the call goes on
   */
  #countInterim(controller: Controller, status: number): boolean {
    this.#interimAnswers++;
    const late = performance.now() - this.#sentAt > MAX_INTERIM_MS;
    if (status >= 100 && this.#interimAnswers <= MAX_INTERIM_ANSWERS && !late) return true;
    controller.abort(new FaasError("upstream", `function ${this.#call.entry.qualifiedName} sends no final answer`));
    return false;
  }

  #inform(status: number, headers: UpstreamHeaders): void {
    if (this.#interimAnswers > MAX_HINTS) return;
    const hints = buildInterimHeaders(headers);
    if (hints || status === 102) this.#call.exchange.inform(status, hints ?? {});
  }

  #explain(error: Error): FaasError {
    if (error instanceof FaasError) return error;
    const { name, qualifiedName } = this.#call.entry;
    const code = codeOf(error);
    if (TIMEOUTS.has(code)) {
      return new FaasError("timeout", `function ${qualifiedName} did not answer in time`, { code: "function_timeout" });
    }
    if (code === "ANSWER_HEAD_TOO_LARGE" || code === "UND_ERR_HEADERS_OVERFLOW") {
      return new FaasError("upstream", `function ${qualifiedName} ${TOO_LARGE_A_HEAD}`);
    }
    if (OUR_OWN.has(code)) {
      return new FaasError("unavailable", `the gateway cannot send the call: ${code}`, {
        cause: error,
        code: "out_of_resources",
      });
    }
    return new FaasError("internal", `Can't reach service for: ${name}.`, {
      cause: error,
      code: "replica_unreachable",
    });
  }
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? "";
}

import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import type { Dispatcher } from "undici";
import { FaasError, STATUS } from "../../provider/contract/errors.ts";
import { INTERNAL_HEADER } from "../../provider/contract/paths.ts";
import { ColdWait } from "./cold-wait.ts";
import type { FunctionEntry } from "./function-entry.ts";
import { buildClientHeaders, buildUpstreamHeaders, type CallHeaders } from "./headers.ts";
import type { Replica } from "./replica.ts";

/** What a call needs of the proxy that it belongs to. */
export interface CallContext {
  /** Asks the provider for replicas of a function that has none. */
  readonly wake: (entry: FunctionEntry) => void;
  /** Longest wait for a replica, in milliseconds. */
  readonly holdTimeoutMs: number;
  readonly servedBy: string;
}

/** Bodies up to this size are read before the call is sent: one write for undici, and nothing lost on a second try. */
const BUFFERED_BODY_BYTES = 64 * 1024;

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

/** Reason phrases that Node sends; a function may write others, which say nothing that the status does not. */
const REASON = /^[\t\x20-\x7e\x80-\xff]+$/;

type Controller = Dispatcher.DispatchController;

/**
 * One call on its way to a replica. A replica that refuses the connection is passed over for another; once the request
 * has been given to a connection it is never sent again, as the function may have run.
 */
export class FunctionCall implements Dispatcher.DispatchHandler {
  readonly #context: CallContext;
  readonly #entry: FunctionEntry;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #url: string;
  readonly #headers: CallHeaders;
  #upstreamHeaders: string[] = [];
  #body: Buffer | PassThrough | null = null;
  #replica: Replica | undefined;
  #refused: Replica | undefined;
  #controller: Controller | undefined;
  #holding: AbortController | undefined;
  #place = 0;
  #holdDeadline = 0;
  #wait: ColdWait | undefined;
  #startedAt = 0;
  #callerLeft = false;
  /** Whether the load meter has it. */
  #measured = false;

  constructor(
    context: CallContext,
    entry: FunctionEntry,
    req: IncomingMessage,
    res: ServerResponse,
    url: string,
    headers: CallHeaders,
  ) {
    this.#context = context;
    this.#entry = entry;
    this.#req = req;
    this.#res = res;
    this.#url = url;
    this.#headers = headers;
  }

  start(): void {
    this.#upstreamHeaders = buildUpstreamHeaders(this.#req, this.#headers);
    this.#measured = true;
    this.#entry.load.enter(performance.now());
    this.#res.on("close", () => this.#onClientClose());
    const { "content-length": length, "transfer-encoding": encoding } = this.#req.headers;
    if (encoding === undefined && (length === undefined || length === "0")) {
      this.#attempt();
    } else if (encoding === undefined && Number(length) <= BUFFERED_BODY_BYTES) {
      this.#readBody();
    } else {
      this.#body = this.#bodyStream();
      this.#attempt();
    }
  }

  /** A stream between: undici destroys a body that a function does not want, and the request with it its connection. */
  #bodyStream(): PassThrough {
    const body = new PassThrough();
    body.on("error", () => {}); // whoever destroys it tells the call by itself
    return this.#req.pipe(body);
  }

  /** What is left of the request is read off, or the next one on its connection would never be seen. */
  #discardBody(): void {
    if (this.#req.complete) return;
    this.#req.unpipe();
    this.#req.resume();
  }

  #readBody(): void {
    const chunks: Buffer[] = [];
    this.#req.on("data", (chunk: Buffer) => chunks.push(chunk));
    this.#req.on("end", () => {
      this.#body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      this.#attempt();
    });
    // A caller that leaves while sending closes the response too, which ends this call.
    this.#req.on("error", () => this.#onClientClose());
  }

  #attempt(): void {
    if (this.#callerLeft) return;
    const choice = this.#entry.choose(this.#refused);
    const others = !this.#holding && this.#entry.held.count > 0;
    if (choice.kind === "replica" && !others) this.#send(choice.replica);
    else if (choice.kind === "full" && !this.#holding && !this.#entry.queues) this.#rejectAsFull();
    else void this.#hold();
  }

  async #hold(): Promise<void> {
    const first = !this.#holding;
    this.#holding ??= new AbortController();
    if (first) {
      this.#place = this.#entry.held.newPlace();
      this.#holdDeadline = Date.now() + this.#context.holdTimeoutMs;
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

  #send(replica: Replica): void {
    if (this.#startedAt === 0) this.#start();
    this.#wait?.sent();
    this.#replica = replica;
    replica.outstanding++;
    replica.pool.dispatch(
      {
        path: this.#url,
        method: this.#req.method as Dispatcher.HttpMethod,
        headers: this.#upstreamHeaders,
        body: this.#body,
      },
      this,
    );
  }

  #start(): void {
    this.#startedAt = performance.now();
    this.#entry.meter.start();
  }

  #release(): void {
    const replica = this.#replica;
    if (!replica) return;
    this.#replica = undefined;
    replica.outstanding--;
    this.#entry.releaseHeld();
  }

  #end(status: number): void {
    this.#release();
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
    const status = STATUS[error.kind];
    if (this.#startedAt === 0) this.#start(); // refused before it was sent: it counts among the answers all the same
    this.#end(status);
    if (this.#res.headersSent) {
      this.#res.destroy();
      return;
    }
    const headers: Record<string, string> = { ...this.#ownHeaders(), [INTERNAL_HEADER]: internal };
    if (error.kind === "overloaded") headers["retry-after"] = `${this.#entry.held.retryAfterSeconds}`;
    else if (error.kind === "unavailable") headers["retry-after"] = "1";
    this.#res.writeHead(status, {
      ...headers,
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
    });
    this.#res.end(`${error.message}\n`);
    this.#discardBody();
  }

  #ownHeaders(): Record<string, string> {
    return {
      "x-call-id": this.#headers.callId,
      "x-start-time": this.#headers.startTime,
      "x-served-by": this.#context.servedBy,
    };
  }

  #onClientClose(): void {
    if (this.#res.writableFinished || this.#callerLeft) return;
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

  onResponseStart(
    _controller: Controller,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusMessage?: string,
  ): void {
    if (status < 200) return;
    const res = this.#res;
    const clientHeaders = buildClientHeaders(headers, this.#ownHeaders(), status, this.#req.headers["content-type"]);
    this.#wait?.tell(clientHeaders, this.#replica, this.#entry.meter);
    if (statusMessage && REASON.test(statusMessage)) res.writeHead(status, statusMessage, clientHeaders);
    else res.writeHead(status, clientHeaders);
    // A stream's first piece may be long in coming; its reader wants to know that it is connected.
    if (headers["content-length"] === undefined) res.flushHeaders();
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#res.write(chunk)) return;
    controller.pause();
    this.#res.once("drain", () => controller.resume());
  }

  onResponseEnd(): void {
    this.#end(this.#res.statusCode);
    this.#res.end();
    this.#discardBody();
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    const replica = this.#replica;
    if (this.#callerLeft) {
      this.#end(499); // nginx's code for a caller that left; nobody receives it, the metrics show it
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
    } else if (OUR_OWN.has(code ?? "")) {
      this.#fail(new FaasError("unavailable", `the gateway cannot send the call: ${code}`, { cause: error }));
    } else {
      this.#fail(new FaasError("internal", `Can't reach service for: ${this.#entry.name}.`, { cause: error }));
    }
  }
}

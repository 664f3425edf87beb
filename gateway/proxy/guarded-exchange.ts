import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline, type TransformCallback } from "node:stream";
import type { CallPolicy } from "../../contract/policies/call-policy.ts";
import { applyCors, corsHeaders } from "../core/cors.ts";
import { tellIdentity } from "../policies/identity-headers.ts";
import { type Called, type PolicyVerdict, tooLargeAnswer, tooLargeRequest } from "../policies/policy-gate.ts";
import { CountedBody } from "./awaited-body.ts";
import type { AnswerHeaders, Flow, OpenCall, PlatformAnswer } from "./exchange.ts";
import { buildUpstreamHeaders, type CallHeaders } from "./headers.ts";
import { HttpExchange } from "./http-exchange.ts";

/** A caller of a function with a policy: what goes either way is held to it. */
export class GuardedExchange extends HttpExchange {
  readonly #req: IncomingMessage;
  readonly #called: Called;
  readonly #rules: CallPolicy;
  /** Undefined where the function itself sees to pages of other origins. */
  readonly #cors: Readonly<Record<string, string>> | undefined;
  #admission: PolicyVerdict = { headers: {} };
  #body: Buffer | undefined;
  /** Bytes of the answer's body. */
  #answered = 0;

  constructor(req: IncomingMessage, res: ServerResponse, called: Called, rules: CallPolicy) {
    super(req, res);
    this.#req = req;
    this.#called = called;
    this.#rules = rules;
    this.#cors = rules.cors && corsHeaders(rules.cors, req.headers.origin);
  }

  /** Notes what was found out about the call. */
  admit(admission: PolicyVerdict): void {
    this.#admission = admission;
  }

  /** Notes the body of the request, which somebody has read. */
  hasBody(body: Buffer): void {
    this.#body = body;
  }

  override upstreamHeaders(call: CallHeaders): string[] {
    const headers = super.upstreamHeaders(call);
    const { identity } = this.#admission;
    return identity ? tellIdentity(headers, identity) : headers;
  }

  override open(call: OpenCall, readTimeoutMs: number | undefined): void {
    if (this.#body) {
      this.watch(call);
      call.send(this.#body.length === 0 ? null : this.#body);
      return;
    }
    const { maxRequestBytes } = this.#rules;
    // One that says how long it is was looked at already, and cannot be longer.
    if (maxRequestBytes === undefined || this.#req.headers["content-length"] !== undefined) {
      super.open(call, readTimeoutMs);
      return;
    }
    const send: OpenCall["send"] = (body) =>
      call.send(body === null || Buffer.isBuffer(body) ? body : this.#limited(body, maxRequestBytes));
    super.open({ send, leave: () => call.leave() }, readTimeoutMs);
  }

  /** `body`, which fails as soon as it has more than `limit` bytes. */
  #limited(body: NodeJS.ReadableStream, limit: number): LimitedBody {
    const limited = new LimitedBody(this.#called, limit);
    // Its reader gets the error itself.
    return pipeline(body, limited, () => {});
  }

  override begin(status: number, reason: string | undefined, headers: AnswerHeaders): void {
    const { maxAnswerBytes } = this.#rules;
    const length = Number(headers["content-length"] ?? 0);
    if (maxAnswerBytes !== undefined && length > maxAnswerBytes && this.method !== "HEAD") {
      throw tooLargeAnswer(this.#called, maxAnswerBytes);
    }
    if (this.#cors) applyCors(headers, this.#cors);
    const { headers: own } = this.#admission;
    for (const name in own) headers[name] ??= own[name] as string;
    super.begin(status, reason, headers);
  }

  override data(piece: Buffer, flow: Flow): void {
    const { maxAnswerBytes } = this.#rules;
    this.#answered += piece.length;
    if (maxAnswerBytes === undefined || this.#answered <= maxAnswerBytes) super.data(piece, flow);
    else flow.abort(tooLargeAnswer(this.#called, maxAnswerBytes));
  }

  override refuse(answer: PlatformAnswer): void {
    const headers: Record<string, string | string[]> = { ...this.#admission.headers, ...answer.headers };
    // Pages are to see why, and a preflight's answer has its own.
    if (this.#cors && headers["access-control-allow-origin"] === undefined) applyCors(headers, this.#cors);
    // What is left of a refused body is not worth waiting for; it may never come.
    if (!this.#req.complete && announcesBody(this.#req)) headers.connection = "close";
    super.refuse({ ...answer, headers: headers as Record<string, string> });
  }
}

class LimitedBody extends CountedBody {
  readonly #called: Called;
  readonly #limit: number;

  constructor(called: Called, limit: number) {
    super();
    this.#called = called;
    this.#limit = limit;
  }

  override _transform(piece: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    if (this.bytes + piece.length > this.#limit) done(tooLargeRequest(this.#called, this.#limit));
    else super._transform(piece, encoding, done);
  }
}

/** A stored call that a queue worker brings: its caller was looked at when it was accepted. */
export class DeliveredExchange extends HttpExchange {
  readonly #delivered: IncomingMessage;

  constructor(req: IncomingMessage, res: ServerResponse) {
    super(req, res);
    this.#delivered = req;
  }

  override upstreamHeaders(call: CallHeaders): string[] {
    return buildUpstreamHeaders(this.#delivered, call, true);
  }
}

export function announcesBody({ headers }: Pick<IncomingMessage, "headers">): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

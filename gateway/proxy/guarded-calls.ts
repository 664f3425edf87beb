import type { IncomingMessage, ServerResponse } from "node:http";
import { type FaasError, STATUS, toFaasError } from "../../contract/errors.ts";
import { MOST_SIGNED_BYTES } from "../../contract/policies/call-policy.ts";
import { decidePreflight, readPreflight } from "../core/cors.ts";
import type { FunctionPolicy } from "../policies/function-policy.ts";
import { PolicyError, type PolicyGate, type PolicyVerdict } from "../policies/policy-gate.ts";
import { BodyReader } from "./body-reader.ts";
import type { Exchange, PlatformAnswer } from "./exchange.ts";
import type { FunctionEntry } from "./function-entry.ts";
import { announcesBody, DeliveredExchange, GuardedExchange } from "./guarded-exchange.ts";
import type { CallHeaders } from "./headers.ts";
import type { ObservedExchange } from "./observed-exchange.ts";
import { failureAnswer } from "./platform-answers.ts";

/** A call of a function that has a policy. */
export interface GuardedCall {
  /** The function itself, whichever of its versions is called. */
  readonly entry: FunctionEntry;
  readonly policy: FunctionPolicy;
  /** For the function. */
  readonly url: string;
  readonly headers: CallHeaders;
  /** What tells of the call, to be put around the exchange that it gets; mostly absent. */
  readonly observed: ObservedExchange | undefined;
  /** On every answer. */
  readonly ours: Readonly<Record<string, string>>;
  /** Makes the call, once the policy lets it. */
  readonly start: (exchange: Exchange) => void;
}

interface Caller {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** Of bodies whose signature has to be checked, over all calls. */
const MAX_HELD_BYTES = 128 * 1024 ** 2;

/** Makes calls of functions that have a policy, once it lets them. Until then nothing is done for them. */
export class GuardedCalls {
  readonly #gate: PolicyGate;
  readonly #bodies = new BodyReader({
    limitBytes: MOST_SIGNED_BYTES,
    totalBytes: MAX_HELD_BYTES,
    what: "signed requests",
  });

  constructor(gate: PolicyGate) {
    this.#gate = gate;
  }

  async handle(call: GuardedCall, { req, res }: Caller): Promise<void> {
    const { entry, policy, ours, observed } = call;
    if (this.#gate.isDelivery(entry, req)) {
      const delivered = new DeliveredExchange(req, res);
      call.start(observed?.around(delivered) ?? delivered);
      return;
    }
    const exchange = new GuardedExchange(req, res, entry, policy.rules);
    const outer: Exchange = observed?.around(exchange) ?? exchange;
    if (outer.record) outer.record.functionName = entry.qualifiedName;
    const preflight = policy.problem === undefined && answerPreflight(policy, req, ours);
    if (preflight) {
      outer.refuse(preflight);
      return;
    }
    try {
      const admission = this.#gate.enter(policy, entry, req);
      exchange.admit(admission);
      if (!this.#gate.needsBody(policy)) await this.#admit(call, exchange, req, admission);
      else if (announcesBody(req)) await this.#readFirst(call, exchange, { req, res }, admission);
      else await this.#admit(call, exchange, req, admission, Buffer.alloc(0));
    } catch (thrown) {
      if (exchange.left) return;
      const error = toFaasError(thrown);
      entry.meter.start();
      entry.meter.end(STATUS[error.kind], 0);
      outer.refuse(refusalAnswer(error, ours));
    }
  }

  /** Bodies count as held until their calls have ended. */
  async #readFirst(
    call: GuardedCall,
    exchange: GuardedExchange,
    caller: Caller,
    entered: PolicyVerdict,
  ): Promise<void> {
    const { req, res } = caller;
    const use = async (body: Buffer) => {
      await this.#admit(call, exchange, req, entered, body);
      if (!res.closed) await new Promise((resolve) => res.once("close", resolve));
    };
    await this.#bodies.with(req, use, undefined, call.policy.rules.maxRequestBytes);
  }

  /** @param body where the policy needs it first */
  async #admit(
    call: GuardedCall,
    exchange: GuardedExchange,
    req: IncomingMessage,
    entered: PolicyVerdict,
    body?: Buffer,
  ): Promise<void> {
    const { entry, policy, observed } = call;
    exchange.admit(await this.#gate.admit(policy, entry, req, entered, body));
    if (body) exchange.hasBody(body);
    if (!exchange.left) call.start(observed ?? exchange);
  }
}

/** The answer to a preflight; undefined for other requests, and for functions that answer it themselves. */
export function answerPreflight(
  { rules: { cors } }: FunctionPolicy,
  req: IncomingMessage,
  ours: Readonly<Record<string, string>>,
): PlatformAnswer | undefined {
  const preflight = cors && readPreflight(req.method as string, req.headers);
  if (!preflight) return undefined;
  const decision = decidePreflight(cors, preflight);
  const headers = { ...ours, ...decision.headers };
  if (decision.kind === "allowed") return { status: 204, headers, text: "" };
  return refusalAnswer(new PolicyError("forbidden", decision.rule, { code: "origin_not_allowed" }), headers);
}

/** As OpenFaaS marks what its middleware refuses. */
const MIDDLEWARE = "faas-middleware";

/** @param ours of every answer to this call */
export function refusalAnswer(error: FaasError, ours: Readonly<Record<string, string>>): PlatformAnswer {
  const own = error instanceof PolicyError ? error.headers : {};
  const again = error.kind === "unavailable" ? 1 : undefined;
  return failureAnswer(error, MIDDLEWARE, { ...ours, ...own }, again);
}

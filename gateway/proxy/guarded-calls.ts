import type { IncomingMessage, ServerResponse } from "node:http";
import { type FaasError, STATUS, toFaasError } from "../../contract/errors.ts";
import { decidePreflight, readPreflight } from "../core/cors.ts";
import type { FunctionPolicy } from "../policies/function-policy.ts";
import { type Admission, PolicyError, type PolicyGate } from "../policies/policy-gate.ts";
import type { Exchange, PlatformAnswer } from "./exchange.ts";
import type { FunctionEntry } from "./function-entry.ts";
import { GuardedExchange } from "./guarded-exchange.ts";
import type { CallHeaders } from "./headers.ts";
import { failureAnswer } from "./platform-answers.ts";

/** A call of a function that has a policy. */
export interface GuardedCall {
  readonly entry: FunctionEntry;
  readonly policy: FunctionPolicy;
  /** For the function. */
  readonly url: string;
  readonly headers: CallHeaders;
  /** On every answer. */
  readonly ours: Readonly<Record<string, string>>;
}

type Start = (entry: FunctionEntry, exchange: Exchange, url: string, headers: CallHeaders) => void;

/** Makes calls of functions that have a policy, once it lets them. Until then nothing is done for them. */
export class GuardedCalls {
  readonly #gate: PolicyGate;
  readonly #start: Start;

  constructor(gate: PolicyGate, start: Start) {
    this.#gate = gate;
    this.#start = start;
  }

  async handle(
    call: GuardedCall,
    { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  ): Promise<void> {
    const { entry, policy, ours } = call;
    const exchange = new GuardedExchange(req, res, entry, policy.rules);
    const preflight = policy.problem === undefined && answerPreflight(policy, req, ours);
    if (preflight) {
      exchange.refuse(preflight);
      return;
    }
    try {
      const admission = this.#gate.enter(policy, entry, req);
      exchange.admit(admission);
      await this.#admit(call, exchange, req, admission);
    } catch (thrown) {
      if (exchange.left) return;
      const error = toFaasError(thrown);
      entry.meter.start();
      entry.meter.end(STATUS[error.kind], 0);
      exchange.refuse(refusalAnswer(error, ours));
    }
  }

  async #admit(call: GuardedCall, exchange: GuardedExchange, req: IncomingMessage, entered: Admission): Promise<void> {
    const { entry, policy, url, headers } = call;
    exchange.admit(await this.#gate.admit(policy, entry, req, entered));
    if (!exchange.left) this.#start(entry, exchange, url, headers);
  }
}

/** What a page is told that asks before it calls; undefined for all other requests, and functions that see to it. */
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

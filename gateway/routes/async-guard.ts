import type { IncomingMessage } from "node:http";
import { type CorsHeaders, corsHeaders } from "../core/cors.ts";
import type { FunctionPolicy } from "../policies/function-policy.ts";
import { SUBJECT, tellIdentity } from "../policies/identity-headers.ts";
import {
  type Called,
  PolicyError,
  type PolicyGate,
  type PolicyVerdict,
  tooLargeRequest,
} from "../policies/policy-gate.ts";
import type { NewCall } from "../queue/queue.ts";

/** The policy of a function, applied to one asynchronous call at its acceptance: nobody asks again when it is made. */
export class AsyncGuard {
  readonly #gate: PolicyGate;
  readonly #policy: FunctionPolicy;
  readonly #called: Called;
  readonly #req: IncomingMessage;
  readonly #cors: CorsHeaders;
  #admission: PolicyVerdict = { headers: {} };

  constructor(gate: PolicyGate, policy: FunctionPolicy, called: Called, req: IncomingMessage) {
    this.#gate = gate;
    this.#policy = policy;
    this.#called = called;
    this.#req = req;
    const { cors } = policy.rules;
    this.#cors = cors ? corsHeaders(cors, req.headers.origin) : {};
  }

  /** Of the answer, whatever it will be. */
  get headers(): Record<string, string> {
    return { ...this.#cors, ...this.#admission.headers };
  }

  /** Largest body; undefined for no limit of its own. */
  get mostBytes(): number | undefined {
    return this.#policy.rules.maxRequestBytes;
  }

  /** @throws {PolicyError} as `PolicyGate.enter` and `.admit` */
  async enter(): Promise<void> {
    this.#admission = this.#gate.enter(this.#policy, this.#called, this.#req);
    if (!this.#gate.needsBody(this.#policy)) await this.#admit();
  }

  /** @throws {PolicyError} as `PolicyGate.admit`, for policies that look at the body */
  async check(body: Buffer): Promise<void> {
    const { mostBytes } = this;
    if (mostBytes !== undefined && body.length > mostBytes) throw tooLargeRequest(this.#called, mostBytes);
    if (this.#gate.needsBody(this.#policy)) await this.#admit(body);
  }

  async #admit(body?: Buffer): Promise<void> {
    this.#admission = await this.#gate.admit(this.#policy, this.#called, this.#req, this.#admission, body);
  }

  /** What the function gets. @param pairs headers as its caller sent them */
  tell(pairs: NewCall["headers"]): NewCall["headers"] {
    const { identity } = this.#admission;
    if (!identity) return pairs;
    const flat = tellIdentity(pairs.flat(), identity);
    return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1] as string]);
  }

  /**
   * What tells senders apart, for an idempotency key: callers that were verified and have no name are told apart by
   * what they have shown.
   * @param pairs headers as the caller sent them
   */
  senderOf(pairs: NewCall["headers"]): NewCall["headers"] {
    const told = this.tell(pairs);
    const consumed = this.#admission.identity?.consumed;
    if (consumed === undefined || told.some(([name]) => name === SUBJECT)) return told;
    const shown = pairs.filter(([name]) => name.toLowerCase() === consumed);
    return [...told, ...shown.map(([, value]) => ["authorization", value] as const)];
  }
}

/** What a refusal says beside its text. */
export function refusalHeaders(error: unknown): Readonly<Record<string, string>> {
  return error instanceof PolicyError ? error.headers : {};
}

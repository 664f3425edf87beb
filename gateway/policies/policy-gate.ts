import type { IncomingMessage } from "node:http";
import { type ErrorKind, FaasError, type FaasErrorOptions } from "../../contract/errors.ts";
import type { AuthPolicy } from "../../contract/policies/auth-policy.ts";
import type { Credentials } from "../../kit/basic-auth.ts";
import { isDelivery } from "../core/delivery-proof.ts";
import { rateHeaders } from "../core/rate-limiter.ts";
import { clientKey } from "./client.ts";
import type { FunctionPolicy } from "./function-policy.ts";
import { DELIVERY, type Identity } from "./identity-headers.ts";

/** The request of a caller, as far as policies look at it. */
export type AskingRequest = Pick<IncomingMessage, "headers" | "rawHeaders" | "socket">;

type Headers = Readonly<Record<string, string>>;

/** A refusal by a policy of the function, with headers of its own. */
export class PolicyError extends FaasError {
  readonly headers: Headers;
  constructor(kind: ErrorKind, message: string, options: FaasErrorOptions & { readonly headers?: Headers }) {
    super(kind, message, options);
    this.headers = options.headers ?? {};
  }
}

/** The function that is called. */
export interface Called {
  readonly name: string;
  readonly namespace: string;
  readonly qualifiedName: string;
}

/** Finds out who a caller is. */
export interface Authenticator {
  /**
   * @param body of the request, for policies that look at it
   * @throws {PolicyError} for whoever is not to be let in; `unavailable` when that cannot be told
   */
  identify(policy: AuthPolicy, called: Called, req: AskingRequest, body: Buffer | undefined): Promise<Identity>;
}

/** What is known of a call that may be made. */
export interface PolicyVerdict {
  readonly identity?: Identity;
  /** For the answer, whatever it will be. */
  readonly headers: Headers;
}

export interface PolicyGateOptions {
  /** Without one, functions that want to know their callers cannot be called. */
  readonly authenticator?: Authenticator | undefined;
  /** What queue workers know of the platform; without it, nobody is believed to be one. */
  readonly credentials?: Credentials | undefined;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

/** Sees to what functions want of their calls, before anything is done for one. */
export class PolicyGate {
  readonly #authenticator: Authenticator | undefined;
  readonly #credentials: Credentials | undefined;
  readonly #now: () => number;

  constructor({ authenticator, credentials, now = () => performance.now() }: PolicyGateOptions = {}) {
    this.#credentials = credentials;
    this.#authenticator = authenticator;
    this.#now = now;
  }

  /** Whether a queue worker makes the call, which was let in when it was accepted. */
  isDelivery(called: Called, { headers }: AskingRequest): boolean {
    const { [DELIVERY]: proof, "x-call-id": callId } = headers;
    const known = this.#credentials;
    if (typeof proof !== "string" || typeof callId !== "string" || !known) return false;
    const delivery = { callId, function: called.qualifiedName };
    const passwords = known.expiring ? [known, known.expiring] : [known];
    return passwords.some((password) => isDelivery(proof, delivery, password, Date.now()));
  }

  /** Whether {@link admit} needs the body. */
  needsBody({ rules }: FunctionPolicy): boolean {
    return rules.auth?.kind === "hmac";
  }

  /**
   * What can be told without reading the body and without waiting.
   * @throws {PolicyError} `unavailable` for a policy that cannot be read, `tooLarge`, `overloaded`
   */
  enter(policy: FunctionPolicy, called: Called, req: AskingRequest): PolicyVerdict {
    if (policy.problem !== undefined) {
      const why = `function ${called.qualifiedName} must not be called: ${policy.problem}`;
      throw new PolicyError("unavailable", why, { code: "policy_unreadable" });
    }
    const { maxRequestBytes, rateLimit } = policy.rules;
    const length = Number(req.headers["content-length"] ?? 0);
    if (maxRequestBytes !== undefined && length > maxRequestBytes) throw tooLargeRequest(called, maxRequestBytes);
    if (!rateLimit || rateLimit.by === "identity") return { headers: {} };
    return { headers: this.#count(policy, rateLimit.by === "client" ? clientKey(req) : "", called) };
  }

  /**
   * Finds out who calls, where the function wants to know.
   * @param entered of {@link enter}
   * @param body when the policy {@link needsBody}
   * @throws {PolicyError} for whoever is not to be let in
   */
  async admit(
    policy: FunctionPolicy,
    called: Called,
    req: AskingRequest,
    entered: PolicyVerdict,
    body?: Buffer,
  ): Promise<PolicyVerdict> {
    const { auth, rateLimit } = policy.rules;
    if (!auth) return entered;
    if (!this.#authenticator) {
      throw new PolicyError("unavailable", `this gateway cannot check callers of function ${called.qualifiedName}`, {
        code: "auth_unavailable",
      });
    }
    const identity = await this.#authenticator.identify(auth, called, req, body);
    if (rateLimit?.by !== "identity") return { ...entered, identity };
    return { headers: this.#count(policy, identity.subject ?? "", called), identity };
  }

  #count({ limiter, rules: { rateLimit } }: FunctionPolicy, key: string, { qualifiedName }: Called): Headers {
    if (!limiter || !rateLimit) return {};
    const state = limiter.take(key, this.#now());
    const headers = rateHeaders(rateLimit, state);
    if (state.admitted) return headers;
    throw new PolicyError("overloaded", `too many calls of function ${qualifiedName}`, {
      code: "rate_limited",
      headers,
    });
  }
}

export function tooLargeRequest({ qualifiedName }: Pick<Called, "qualifiedName">, limit: number): PolicyError {
  return new PolicyError(
    "tooLarge",
    `the body is larger than function ${qualifiedName} takes, which is ${limit} bytes`,
    {},
  );
}

export function tooLargeAnswer({ qualifiedName }: Pick<Called, "qualifiedName">, limit: number): FaasError {
  return new FaasError("upstream", `function ${qualifiedName} sent an answer of more than its limit, ${limit} bytes`, {
    code: "answer_too_large",
  });
}

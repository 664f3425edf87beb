import { FaasError } from "../../contract/errors.ts";
import type { AuthPolicy } from "../../contract/policies/auth-policy.ts";
import type { Logger } from "../../kit/log.ts";
import type { LoginAttempts } from "../../kit/login-attempts.ts";
import type { Identity } from "./identity-headers.ts";
import { KeySets } from "./key-sets.ts";
import { PasswordCheck } from "./password-check.ts";
import { type AskingRequest, type Authenticator, type Called, PolicyError } from "./policy-gate.ts";
import { SecretValues } from "./secret-values.ts";
import { checkSignature } from "./signature-check.ts";
import { TokenCheck } from "./token-check.ts";

export interface CallersOptions {
  /** Folder of functions' secrets: `<namespace>/<name>`. */
  readonly secretsFolder: string;
  readonly attempts: Pick<LoginAttempts, "fail">;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** Between two lines in the log about the same function. */
const SAY_EVERY_MS = 60_000;
const MAX_SAID = 1_000;

/** Tells who calls a function, by what the function wants to be shown. */
export class Callers implements Authenticator {
  readonly #secrets: SecretValues;
  readonly #passwords: PasswordCheck;
  readonly #tokens: TokenCheck;
  readonly #log: CallersOptions["log"];
  /** When it was last said why a function cannot be called. */
  readonly #said = new Map<string, number>();

  constructor({ secretsFolder, attempts, log }: CallersOptions) {
    this.#secrets = new SecretValues({ folder: secretsFolder });
    this.#passwords = new PasswordCheck(attempts);
    this.#tokens = new TokenCheck(new KeySets({ log }));
    this.#log = log;
  }

  async identify(policy: AuthPolicy, called: Called, req: AskingRequest, body: Buffer | undefined): Promise<Identity> {
    try {
      return await this.#identify(policy, called, req, body);
    } catch (error) {
      if (error instanceof PolicyError || !(error instanceof FaasError) || error.kind !== "unavailable") throw error;
      this.#say(called.qualifiedName, error);
      // Of what is wrong with a secret its owner reads in the log; strangers need not know its name.
      throw new PolicyError("unavailable", `callers of function ${called.qualifiedName} cannot be told apart now`, {
        cause: error,
        code: "auth_unavailable",
      });
    }
  }

  async #identify(policy: AuthPolicy, called: Called, req: AskingRequest, body: Buffer | undefined): Promise<Identity> {
    const read = (name: string) => this.#secrets.read({ namespace: called.namespace, name });
    switch (policy.kind) {
      case "basic":
        return this.#passwords.basic(policy, await read(policy.secret), called, req);
      case "key":
        return this.#passwords.key(policy, await read(policy.secret), called, req);
      case "hmac":
        return checkSignature(policy, await read(policy.secret), called, req, body ?? Buffer.alloc(0), Date.now());
      case "jwt": {
        const secret = policy.keys.kind === "secret" ? await read(policy.keys.name) : undefined;
        return await this.#tokens.check(policy, secret, called, req);
      }
    }
  }

  #say(name: string, err: FaasError): void {
    const now = performance.now();
    if (now - (this.#said.get(name) ?? Number.NEGATIVE_INFINITY) < SAY_EVERY_MS) return;
    if (this.#said.size >= MAX_SAID) this.#said.clear();
    this.#said.set(name, now);
    this.#log.warn({ function: name, err }, "callers of a function cannot be checked; it is closed");
  }
}

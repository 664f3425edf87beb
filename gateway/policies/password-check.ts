import { createHash, timingSafeEqual } from "node:crypto";
import type { BasicPolicy, KeyPolicy } from "../../contract/policies/auth-policy.ts";
import { clientOf } from "../../http/client-address.ts";
import type { LoginAttempts } from "../../kit/login-attempts.ts";
import { afterScheme, MAX_CREDENTIAL_CHARS, readCredential, unauthorized } from "./credentials.ts";
import type { Identity } from "./identity-headers.ts";
import { type AskingRequest, type Called, PolicyError } from "./policy-gate.ts";
import type { SecretValue } from "./secret-values.ts";

const HASHED = /^sha256:([0-9a-f]{64})$/i;

const digest = (text: string) => createHash("sha256").update(text).digest();

/** A password or key as a secret has it: as it is, or its SHA-256. */
function digestOf(written: string): Buffer {
  const hex = HASHED.exec(written)?.[1];
  return hex === undefined ? digest(written) : Buffer.from(hex, "hex");
}

/** Checks passwords and keys against the lines of a secret. */
export class PasswordCheck {
  readonly #attempts: Pick<LoginAttempts, "fail">;
  readonly #users = new WeakMap<SecretValue, ReadonlyMap<string, Buffer>>();
  readonly #keys = new WeakMap<SecretValue, ReadonlyMap<string, string>>();

  /** @param attempts counts wrong ones by address */
  constructor(attempts: Pick<LoginAttempts, "fail">) {
    this.#attempts = attempts;
  }

  /** @param secret lines `user:password` */
  basic({ forward }: BasicPolicy, secret: SecretValue, called: Called, req: AskingRequest): Identity {
    const given = readCredential(req, "authorization");
    const refuse = () => unauthorized(called, "Basic", "invalid credentials", ', charset="UTF-8"');
    if (given === undefined) throw refuse();
    const encoded = given.length <= MAX_CREDENTIAL_CHARS ? (afterScheme(given, "basic") ?? "") : "";
    const decoded = /^[a-z0-9+/]+={0,2}$/i.test(encoded) ? Buffer.from(encoded, "base64").toString("utf8") : "";
    const colon = decoded.indexOf(":");
    const user = decoded.slice(0, Math.max(0, colon));
    const known = this.#usersOf(secret).get(user);
    const isRight = timingSafeEqual(digest(decoded.slice(colon + 1)), known ?? digest(""));
    if (colon <= 0 || !known || !isRight) throw this.#wrong(req, refuse());
    return { kind: "basic", subject: user, ...(!forward && { consumed: "authorization" }) };
  }

  /** @param secret lines `key` or `name key` */
  key({ header, forward }: KeyPolicy, secret: SecretValue, called: Called, req: AskingRequest): Identity {
    const given = readCredential(req, header);
    const isBearer = header === "authorization";
    const refuse = () => unauthorized(called, isBearer ? "Bearer" : "ApiKey", "invalid credentials");
    if (given === undefined) throw refuse();
    const key = given.length > MAX_CREDENTIAL_CHARS ? "" : isBearer ? (afterScheme(given, "bearer") ?? "") : given;
    const name = this.#keysOf(secret).get(digest(key).toString("hex"));
    if (key === "" || name === undefined) throw this.#wrong(req, refuse());
    return { kind: "key", ...(name !== "" && { subject: name }), ...(!forward && { consumed: header }) };
  }

  #usersOf(secret: SecretValue): ReadonlyMap<string, Buffer> {
    const known = this.#users.get(secret);
    if (known) return known;
    const users = new Map<string, Buffer>();
    for (const line of secret.lines) {
      const colon = line.indexOf(":");
      // Without a password anybody would be let in.
      if (colon > 0 && colon < line.length - 1) users.set(line.slice(0, colon), digestOf(line.slice(colon + 1)));
    }
    this.#users.set(secret, users);
    return users;
  }

  /** Names by the hex of the key's digest; empty for keys without one. */
  #keysOf(secret: SecretValue): ReadonlyMap<string, string> {
    const known = this.#keys.get(secret);
    if (known) return known;
    const keys = new Map<string, string>();
    for (const line of secret.lines) {
      const space = line.search(/\s/);
      const [name, key] = space < 0 ? ["", line] : [line.slice(0, space), line.slice(space).trim()];
      keys.set(digestOf(key).toString("hex"), name);
    }
    this.#keys.set(secret, keys);
    return keys;
  }

  #wrong(req: AskingRequest, refusal: PolicyError): PolicyError {
    const pauseMs = this.#attempts.fail(clientOf(req));
    if (pauseMs === 0) return refusal;
    const seconds = Math.ceil(pauseMs / 1000);
    return new PolicyError("overloaded", `too many wrong credentials; try again in ${seconds} s`, {
      code: "too_many_logins",
      headers: { "retry-after": String(seconds) },
    });
  }
}

import { createPublicKey, type KeyObject } from "node:crypto";
import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import { FaasError } from "../../contract/errors.ts";
import type { JwtPolicy } from "../../contract/policies/auth-policy.ts";
import { afterScheme, MAX_CREDENTIAL_CHARS, readCredential, unauthorized } from "./credentials.ts";
import type { Identity } from "./identity-headers.ts";
import { type KeySets, readKeySet } from "./key-sets.ts";
import type { AskingRequest, Called } from "./policy-gate.ts";
import type { SecretValue } from "./secret-values.ts";

/** Loaded with the first token: most gateways never see one. */
type Jose = typeof import("jose");

/** RFC 7518 §3.2: a shared key must be as long as the hash. */
const MIN_SHARED_BYTES = 32;
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

type Keys = Uint8Array | KeyObject | JWTVerifyGetKey;

/** Checks tokens as RFC 7519 and RFC 8725 have it. */
export class TokenCheck {
  readonly #keySets: KeySets;
  #jose: Promise<Jose> | undefined;
  readonly #ofSets = new WeakMap<JSONWebKeySet, Keys>();
  /** Of secrets; one that is taken for a shared key here may be a public one for another function. */
  readonly #shared = new WeakMap<SecretValue, Keys>();
  readonly #public = new WeakMap<SecretValue, Keys>();

  constructor(keySets: KeySets) {
    this.#keySets = keySets;
  }

  /**
   * @param secret of policies whose keys are in one
   * @throws {PolicyError} for whoever has no token, or one that is not good here
   */
  async check(
    policy: JwtPolicy,
    secret: SecretValue | undefined,
    called: Called,
    req: AskingRequest,
  ): Promise<Identity> {
    const { header, forward } = policy;
    const value = readCredential(req, header);
    if (value === undefined) throw unauthorized(called, "Bearer", "a token is required");
    const refuse = (why: string) =>
      unauthorized(called, "Bearer", `invalid token: ${why}`, `, error="invalid_token", error_description="${why}"`);
    const token = afterScheme(value, "bearer") ?? (header === "authorization" ? "" : value);
    if (token.length > MAX_CREDENTIAL_CHARS) throw refuse("it is too long");
    if (!TOKEN.test(token)) throw refuse("it is not a JWT");
    this.#jose ??= import("jose");
    const jose = await this.#jose;
    const subject = await this.#verify(jose, policy, secret, token, refuse);
    return {
      kind: "jwt",
      ...(subject !== undefined && { subject }),
      claims: token.split(".")[1] as string,
      ...(!forward && { consumed: header }),
    };
  }

  async #verify(
    jose: Jose,
    policy: JwtPolicy,
    secret: SecretValue | undefined,
    token: string,
    refuse: (why: string) => FaasError,
  ): Promise<string | undefined> {
    const { keys } = policy;
    const verify = async (made: Keys) => {
      const { payload } = await jose.jwtVerify(token, made as JWTVerifyGetKey, {
        algorithms: [...policy.algorithms],
        issuer: policy.issuer,
        audience: [...policy.audiences],
        clockTolerance: policy.skewMs / 1000,
        requiredClaims: ["exp"],
      });
      return typeof payload.sub === "string" ? payload.sub : undefined;
    };
    const set = keys.kind === "url" ? this.#keySets.of(keys.url) : undefined;
    const made = set ? this.#ofSet(jose, await set.keys()) : this.#ofSecret(jose, policy, secret);
    try {
      return await verify(made);
    } catch (error) {
      const renewed = set && error instanceof jose.errors.JWKSNoMatchingKey ? await set.renewed() : undefined;
      if (!renewed) throw refuse(reasonOf(jose, error));
      return await verify(this.#ofSet(jose, renewed)).catch((again: unknown) => {
        throw refuse(reasonOf(jose, again));
      });
    }
  }

  #ofSet(jose: Jose, set: JSONWebKeySet): Keys {
    const known = this.#ofSets.get(set);
    if (known) return known;
    const made = jose.createLocalJWKSet(set);
    this.#ofSets.set(set, made);
    return made;
  }

  #ofSecret(jose: Jose, { algorithms }: JwtPolicy, secret: SecretValue | undefined): Keys {
    if (!secret) throw unusable(new Error("there is no secret"));
    const isShared = algorithms.includes("HS256");
    const all = isShared ? this.#shared : this.#public;
    const known = all.get(secret);
    if (known) return known;
    let made: Keys;
    try {
      made = isShared ? sharedKey(secret.text) : publicKeys(jose, secret.text);
    } catch (cause) {
      throw unusable(cause);
    }
    all.set(secret, made);
    return made;
  }
}

function unusable(cause: unknown): FaasError {
  return new FaasError("unavailable", "the secret with the keys of tokens is not usable", {
    cause,
    code: "auth_unavailable",
  });
}

function sharedKey(text: string): Uint8Array {
  // Whoever knows a public key could sign with it, if it were taken for a shared one.
  if (/^\s*(\{|-----BEGIN)/.test(text)) throw new Error("it looks like a public key, which everybody knows");
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length < MIN_SHARED_BYTES) throw new Error(`HS256 needs a key of at least ${MIN_SHARED_BYTES} bytes`);
  return bytes;
}

/** A public key in PEM, or a set of keys in JSON. */
function publicKeys(jose: Jose, text: string): Keys {
  if (/^\s*\{/.test(text)) return jose.createLocalJWKSet(readKeySet(text));
  return createPublicKey(text);
}

/** Why a token is not good, as its holder may know it. */
function reasonOf(jose: Jose, error: unknown): string {
  const { errors } = jose;
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return /^[a-z]{2,10}$/.test(error.claim) ? `its claim ${error.claim} is not as it must be` : "a claim is wrong";
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return "its algorithm is not allowed";
  if (error instanceof errors.JWKSNoMatchingKey) return "its key is not known";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "it does not say which key it is signed with";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "its signature is wrong";
  return "it cannot be read";
}

import type { KeyObject } from "node:crypto";
import { matchesGlob } from "./glob.ts";

/** A token as it is written: nothing of it has been checked. */
export interface UncheckedToken {
  readonly alg: string;
  readonly kid: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What the signature is of. */
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** One of the issuer's keys. */
export interface TokenKey {
  readonly key: KeyObject;
  /** The algorithm that the issuer names for it; undefined leaves all that fit its kind. */
  readonly alg: string | undefined;
}

/** Why a call is refused: 401 when it is not known who calls, 403 when it is and they may not. */
export interface Refusal {
  readonly status: 401 | 403;
  readonly reason: string;
}

/** Longer ones are not looked at: tokens of this size do not exist, and looking costs. */
const LONGEST_TOKEN = 16 * 1024;
/** Clocks differ. */
const LEEWAY_SECONDS = 1;

/** What Node needs to check a signature; nothing else is accepted, "none" and shared secrets least of all. */
const ALGORITHMS: Readonly<
  Record<string, { readonly hash: string | null; readonly kind: string; readonly curve?: string }>
> = {
  RS256: { hash: "sha256", kind: "rsa" },
  RS384: { hash: "sha384", kind: "rsa" },
  RS512: { hash: "sha512", kind: "rsa" },
  PS256: { hash: "sha256", kind: "rsa" },
  PS384: { hash: "sha384", kind: "rsa" },
  PS512: { hash: "sha512", kind: "rsa" },
  ES256: { hash: "sha256", kind: "ec", curve: "prime256v1" },
  ES384: { hash: "sha384", kind: "ec", curve: "secp384r1" },
  ES512: { hash: "sha512", kind: "ec", curve: "secp521r1" },
  EdDSA: { hash: null, kind: "ed25519" },
};

/**
 * Reads a token without trusting it.
 * @returns the reason when it is none
 */
export function readToken(text: string): UncheckedToken | string {
  if (text.length > LONGEST_TOKEN) return "token is too long";
  const [head, body, signature, ...more] = text.split(".");
  if (!head || !body || !signature || more.length > 0) return "token is malformed";
  const header = parseObject(head);
  const claims = parseObject(body);
  if (header === undefined || claims === undefined) return "token is malformed";
  const { alg, kid, crit } = header;
  if (typeof alg !== "string" || !Object.hasOwn(ALGORITHMS, alg)) return "token is signed with an unexpected algorithm";
  if (typeof kid !== "string") return "token names no key";
  if (crit !== undefined) return "token needs an extension that is not known";
  const signed = Buffer.from(`${head}.${body}`, "latin1");
  return { alg, kid, claims, signed, signature: Buffer.from(signature, "base64url") };
}

function parseObject(part: string): Record<string, unknown> | undefined {
  if (!/^[\w-]+$/.test(part)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the key's owner has signed it, with an algorithm that the key is for. */
export function isSigned({ alg, signed, signature }: UncheckedToken, { key, alg: own }: TokenKey): boolean {
  const algorithm = ALGORITHMS[alg];
  if (algorithm === undefined || (own !== undefined && own !== alg)) return false;
  const { hash, kind, curve } = algorithm;
  if (key.asymmetricKeyType !== kind) return false;
  if (curve !== undefined && key.asymmetricKeyDetails?.namedCurve !== curve) return false;
  const { constants, verify } = process.getBuiltinModule("node:crypto");
  const isPss = alg.startsWith("PS");
  const padding = isPss
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};
  return verify(hash, signed, { key, dsaEncoding: "ieee-p1363", ...padding }, signature);
}

/** What a token has to say. */
export interface Expected {
  readonly issuer: string;
  readonly functionId: string;
  readonly nowSeconds: number;
}

/** Decides whether the claims of a token that is genuine open the function. */
export function judgeClaims(
  claims: Readonly<Record<string, unknown>>,
  { issuer, functionId, nowSeconds }: Expected,
): Refusal | undefined {
  const refuse = (reason: string): Refusal => ({ status: 401, reason });
  if (claims.iss !== issuer) return refuse("token is of another issuer");
  if (!textsOf(claims.aud).includes(issuer)) return refuse("token is meant for somebody else");
  const { exp, nbf } = claims;
  if (typeof exp !== "number") return refuse("token does not expire");
  if (exp + LEEWAY_SECONDS <= nowSeconds) return refuse("token is expired");
  if (nbf !== undefined && (typeof nbf !== "number" || nbf - LEEWAY_SECONDS > nowSeconds)) {
    return refuse("token is not valid yet");
  }
  const matches = (pattern: string) => matchesGlob(functionId, pattern);
  const scope = (claims.function ?? {}) as { readonly permissions?: unknown; readonly audience?: unknown };
  const audience = textsOf(scope.audience);
  const isForAny = scope.audience === undefined || (Array.isArray(scope.audience) && scope.audience.length === 0);
  if (textsOf(scope.permissions).some(matches) && (isForAny || audience.some(matches))) return undefined;
  return { status: 403, reason: "insufficient permissions" };
}

/** A text, or the texts of a list. */
function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((each): each is string => typeof each === "string");
}

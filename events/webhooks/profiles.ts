import { FaasError } from "../../contract/errors.ts";
import {
  checkTime,
  decodeSignature,
  isSameText,
  isSigned,
  refused,
  requireHeader,
  type SignatureCheck,
} from "./signature.ts";

/** Services whose way of signing is known, and ways that can be set. */
export const WEBHOOK_PROFILES = [
  "github",
  "gitlab",
  "stripe",
  "slack",
  "standard",
  "s3",
  "sns",
  "hmac",
  "token",
  "basic",
] as const;
export type WebhookProfile = (typeof WEBHOOK_PROFILES)[number];
/** All but SNS, whose proof is a certificate. */
export type SecretProfile = Exclude<WebhookProfile, "sns">;

/** What `hmac` and `token` want to know. */
export interface WebhookSettings {
  readonly profile: SecretProfile;
  /** Header with the signature or token, in lower case. */
  readonly header?: string | undefined;
  readonly algorithm?: "sha256" | "sha512" | "sha1" | undefined;
  readonly encoding?: "hex" | "base64" | undefined;
  /** Before the signature in its header, e.g. `sha256=`. */
  readonly prefix?: string | undefined;
  /** How old a signature may be where it has a time, in milliseconds. */
  readonly toleranceMs?: number | undefined;
  /** GitHub's older signature is accepted too. */
  readonly allowSha1?: boolean | undefined;
}

export const DEFAULT_TOLERANCE_MS = 300_000;
const STANDARD_SECRET = "whsec_";

/** How requests of a profile are checked. @throws {FaasError} `invalid` when settings are missing */
export function signatureCheck(settings: WebhookSettings): SignatureCheck {
  const { profile, toleranceMs = DEFAULT_TOLERANCE_MS } = settings;
  if (profile === "github") return github(settings.allowSha1 ?? false);
  if (profile === "gitlab") return token("x-gitlab-token");
  if (profile === "stripe") return stripe(toleranceMs);
  if (profile === "slack") return slack(toleranceMs);
  if (profile === "standard") return standard(toleranceMs);
  if (profile === "basic") return basic;
  // Stores such as MinIO send a bearer token.
  const header = settings.header ?? (profile === "s3" ? "authorization" : undefined);
  if (!header) throw new FaasError("invalid", `webhook.header: is required with the profile ${profile}`);
  return profile === "hmac" ? hmac(header, settings) : token(header);
}

function github(allowSha1: boolean): SignatureCheck {
  const sha256 = hmac("x-hub-signature-256", { prefix: "sha256=" });
  const sha1 = hmac("x-hub-signature", { prefix: "sha1=", algorithm: "sha1" });
  return (request, secrets, nowMs) => {
    const isOld = allowSha1 && request.headers["x-hub-signature-256"] === undefined;
    (isOld ? sha1 : sha256)(request, secrets, nowMs);
  };
}

function hmac(
  header: string,
  { prefix = "", algorithm = "sha256", encoding = "hex" }: Partial<WebhookSettings>,
): SignatureCheck {
  return (request, secrets) => {
    const value = requireHeader(request, header);
    if (!value.startsWith(prefix)) throw refused(`${header}: must begin with ${prefix}`);
    const signature = decodeSignature(value.slice(prefix.length), encoding);
    if (!isSigned([signature], secrets, [request.body], algorithm)) throw refused(`${header}: the signature is wrong`);
  };
}

function token(header: string): SignatureCheck {
  return (request, secrets) => {
    const value = requireHeader(request, header);
    const given = header === "authorization" ? value.replace(/^Bearer /i, "") : value;
    if (!secrets.some((secret) => isSameText(given, secret))) throw refused(`${header}: is wrong`);
  };
}

/** A secret is `name:password`. */
function basic(request: Parameters<SignatureCheck>[0], secrets: readonly string[]): void {
  const [, given = ""] = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(requireHeader(request, "authorization")) ?? [];
  const login = Buffer.from(given, "base64").toString();
  if (!secrets.some((secret) => isSameText(login, secret))) throw refused("authorization: is wrong");
}

/** `t=<seconds>,v1=<hex>`, several of the latter; `<seconds>.<body>` is signed. */
function stripe(toleranceMs: number): SignatureCheck {
  const name = "stripe-signature";
  return (request, secrets, nowMs) => {
    const parts = requireHeader(request, name)
      .split(",")
      .map((part) => part.trim().split("=", 2) as [string, string?]);
    const time = checkTime(parts.find(([key]) => key === "t")?.[1], name, nowMs, toleranceMs);
    const signatures = parts.flatMap(([key, value = ""]) => (key === "v1" ? [decodeSignature(value, "hex")] : []));
    if (!isSigned(signatures, secrets, [`${time}.`, request.body])) throw refused(`${name}: the signature is wrong`);
  };
}

/** `v0=<hex>` over `v0:<seconds>:<body>`. */
function slack(toleranceMs: number): SignatureCheck {
  return (request, secrets, nowMs) => {
    const given = requireHeader(request, "x-slack-signature");
    const name = "x-slack-request-timestamp";
    const time = checkTime(requireHeader(request, name), name, nowMs, toleranceMs);
    const signature = decodeSignature(given.replace(/^v0=/, ""), "hex");
    const isRight = given.startsWith("v0=") && isSigned([signature], secrets, [`v0:${time}:`, request.body]);
    if (!isRight) throw refused("x-slack-signature: the signature is wrong");
  };
}

/** Standard Webhooks: `v1,<base64>`, several with spaces between, over `<id>.<seconds>.<body>`. */
function standard(toleranceMs: number): SignatureCheck {
  return (request, secrets, nowMs) => {
    const id = requireHeader(request, "webhook-id");
    const name = "webhook-timestamp";
    const time = checkTime(requireHeader(request, name), name, nowMs, toleranceMs);
    const signatures = requireHeader(request, "webhook-signature")
      .split(" ")
      .flatMap((each) => (each.startsWith("v1,") ? [decodeSignature(each.slice(3), "base64")] : []));
    const keys = secrets.map((secret) => Buffer.from(secret.replace(STANDARD_SECRET, ""), "base64"));
    if (!isSigned(signatures, keys, [`${id}.${time}.`, request.body])) {
      throw refused("webhook-signature: the signature is wrong");
    }
  };
}

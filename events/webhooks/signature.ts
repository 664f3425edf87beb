import { createHmac, timingSafeEqual } from "node:crypto";
import { FaasError } from "../../contract/errors.ts";

export type Headers = Readonly<Record<string, string | undefined>>;

/** A request of a webhook, as it came. */
export interface WebhookRequest {
  /** With names in lower case. */
  readonly headers: Headers;
  /** Raw: what is signed is the bytes. */
  readonly body: Buffer;
}

/** A way in which senders prove who they are. */
export type SignatureCheck = (request: WebhookRequest, secrets: readonly string[], nowMs: number) => void;

/** Signatures of one request that are looked at, and secrets that are tried: several while one is changed for another. */
const MOST = 10;
const MAX_HEADER_CHARS = 4096;

export function refused(why: string): FaasError {
  return new FaasError("unauthorized", why);
}

/** The header, if it is there once and of a sane length. @throws {FaasError} `unauthorized` */
export function requireHeader({ headers }: WebhookRequest, name: string): string {
  const value = headers[name];
  if (value === undefined || value === "") throw refused(`${name}: is missing`);
  if (value.length > MAX_HEADER_CHARS) throw refused(`${name}: is longer than ${MAX_HEADER_CHARS} characters`);
  return value;
}

/** Whether one of the signatures is one of the secrets' over `signed`. In time that depends on their number alone. */
export function isSigned(
  signatures: readonly Buffer[],
  secrets: readonly (string | Buffer)[],
  signed: readonly (string | Buffer)[],
  algorithm = "sha256",
): boolean {
  let isRight = false;
  for (const secret of secrets.slice(0, MOST)) {
    const hmac = createHmac(algorithm, secret);
    for (const part of signed) hmac.update(part);
    const expected = hmac.digest();
    for (const signature of signatures.slice(0, MOST)) {
      if (signature.length === expected.length && timingSafeEqual(signature, expected)) isRight = true;
    }
  }
  return isRight;
}

/** @throws {FaasError} `unauthorized` when the time is missing, odd, or too far from now */
export function checkTime(text: string | undefined, name: string, nowMs: number, toleranceMs: number): string {
  if (text === undefined || !/^\d{1,12}$/.test(text)) throw refused(`${name}: must be seconds since 1970`);
  if (Math.abs(nowMs - Number(text) * 1000) > toleranceMs) throw refused(`${name}: is too far from now`);
  return text;
}

/** Bytes of hexadecimal or base64 text; none for what is neither. */
export function decodeSignature(text: string, encoding: "hex" | "base64"): Buffer {
  const isSound = encoding === "hex" ? /^(?:[0-9a-f]{2})+$/i.test(text) : /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  return isSound ? Buffer.from(text, encoding) : Buffer.alloc(0);
}

/** Whether the texts are equal, without telling how far. */
export function isSameText(given: string, wanted: string): boolean {
  const digest = (text: string) => createHmac("sha256", "comparison").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

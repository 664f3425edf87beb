import { createHmac, timingSafeEqual } from "node:crypto";
import type { HmacPolicy } from "../../contract/policies/auth-policy.ts";
import { readCredential, unauthorized } from "./credentials.ts";
import type { Identity } from "./identity-headers.ts";
import type { AskingRequest, Called } from "./policy-gate.ts";
import type { SecretValue } from "./secret-values.ts";

const MAX_HEADER_CHARS = 2 * 1024;
/** Of one request, and secrets that are tried: some of each while one is changed for another. */
const MOST = 10;
const HEX = /^[0-9a-f]{64}$/i;

/**
 * Checks the signature of a webhook.
 * @param secret a key per line, any of which may have signed
 * @param now milliseconds since the epoch
 * @throws {PolicyError} for one that is missing, wrong or too old
 */
export function checkSignature(
  { format, header, toleranceMs }: HmacPolicy,
  secret: SecretValue,
  called: Called,
  req: AskingRequest,
  body: Buffer,
  now: number,
): Identity {
  const refuse = (why: string) => unauthorized(called, "HMAC-SHA256", `${header}: ${why}`);
  const value = readCredential(req, header);
  if (value === undefined) throw refuse("the request must be signed");
  const signed = value.length <= MAX_HEADER_CHARS ? PARSERS[format](value) : undefined;
  if (!signed) throw refuse(FORMATS[format]);
  if (signed.seconds !== undefined && Math.abs(now - signed.seconds * 1000) > toleranceMs) {
    throw refuse("the time of the signature is too far from now");
  }
  const isRight = secret.lines.slice(0, MOST).some((key) => {
    const hmac = createHmac("sha256", key);
    if (signed.seconds !== undefined) hmac.update(`${signed.time}.`);
    const expected = hmac.update(body).digest();
    return signed.signatures.some((signature) => timingSafeEqual(expected, signature));
  });
  if (!isRight) throw refuse("the signature is wrong");
  return { kind: "hmac" };
}

interface Signed {
  readonly signatures: readonly Buffer[];
  /** Seconds since the epoch, and as they were written. */
  readonly seconds?: number;
  readonly time?: string;
}

const FORMATS: Readonly<Record<HmacPolicy["format"], string>> = {
  body: "must be sha256= and 64 hexadecimal digits",
  timestamped: "must be t=<seconds>,v1=<64 hexadecimal digits>",
};

const PARSERS: Readonly<Record<HmacPolicy["format"], (value: string) => Signed | undefined>> = {
  body: (value) => {
    const hex = /^sha256=(.*)$/i.exec(value)?.[1] ?? "";
    return HEX.test(hex) ? { signatures: [Buffer.from(hex, "hex")] } : undefined;
  },
  timestamped: (value) => {
    let time: string | undefined;
    const signatures: Buffer[] = [];
    for (const part of value.split(",")) {
      const [, name, text = ""] = /^\s*(\w+)=(\w*)\s*$/.exec(part) ?? [];
      if (name === "t" && time === undefined && /^\d{1,12}$/.test(text)) time = text;
      else if (name === "v1" && HEX.test(text)) signatures.push(Buffer.from(text, "hex"));
      // Other versions are for others to check.
      else if (name === undefined || name === "t" || name === "v1") return undefined;
    }
    if (time === undefined || signatures.length === 0 || signatures.length > MOST) return undefined;
    return { signatures, time, seconds: Number(time) };
  },
};

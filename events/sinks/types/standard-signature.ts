import { createHmac } from "node:crypto";

const STANDARD_SECRET = "whsec_";
const MAX_SECRETS = 10;

/**
 * Headers that prove who has sent a body, as Standard Webhooks has them: a signature by each secret, so that one can be
 * changed for another while both are known.
 * @param id the same for each try
 * @see https://www.standardwebhooks.com
 */
export function standardHeaders(
  id: string,
  nowMs: number,
  body: Buffer,
  secrets: readonly string[],
): Readonly<Record<string, string>> {
  const seconds = String(Math.floor(nowMs / 1000));
  const signatures = secrets.slice(0, MAX_SECRETS).map((secret) => {
    const key = Buffer.from(secret.replace(STANDARD_SECRET, ""), "base64");
    return `v1,${createHmac("sha256", key).update(`${id}.${seconds}.`).update(body).digest("base64")}`;
  });
  return {
    "webhook-id": id,
    "webhook-timestamp": seconds,
    ...(signatures.length > 0 && { "webhook-signature": signatures.join(" ") }),
  };
}

/** Whether it can sign: base64, perhaps behind `whsec_`, of 16 bytes at least. */
export function isSigningSecret(text: string): boolean {
  const base64 = text.replace(STANDARD_SECRET, "");
  return /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && Buffer.from(base64, "base64").length >= 16;
}

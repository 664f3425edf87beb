import { createHash, createHmac, timingSafeEqual } from "node:crypto";

interface Password {
  readonly user: string;
  readonly password: string;
}

/** A stored call that a queue worker makes. */
export interface ProvenDelivery {
  readonly callId: string;
  /** `name.namespace`. */
  readonly function: string;
}

/** Difference of clocks that is put up with, and the age to which a proof is good, in milliseconds. */
const TOLERANCE_MS = 5 * 60_000;

/**
 * Shows a gateway that a call comes from a queue worker of the same platform, and was accepted before.
 * @param now milliseconds since the epoch
 * @returns `t=<seconds>,v1=<hex>`, for one call of one function
 */
export function proveDelivery(delivery: ProvenDelivery, password: Password, now: number): string {
  const seconds = Math.floor(now / 1000);
  return `t=${seconds},v1=${macOf(delivery, password, seconds).toString("hex")}`;
}

export function isDelivery(proof: string, delivery: ProvenDelivery, password: Password, now: number): boolean {
  const [, seconds, hex] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(proof) ?? [];
  if (seconds === undefined || hex === undefined) return false;
  if (Math.abs(now - Number(seconds) * 1000) > TOLERANCE_MS) return false;
  return timingSafeEqual(macOf(delivery, password, Number(seconds)), Buffer.from(hex, "hex"));
}

function macOf({ callId, function: name }: ProvenDelivery, { user, password }: Password, seconds: number): Buffer {
  const key = createHash("sha256").update(`faaslane delivery\n${user}\n${password}`).digest();
  return createHmac("sha256", key)
    .update(JSON.stringify([seconds, callId, name]))
    .digest();
}

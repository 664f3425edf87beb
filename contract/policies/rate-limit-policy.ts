import { parseGoDuration } from "../duration.ts";
import type { PolicySettings } from "./policy-settings.ts";

/** Whose calls are counted together: those of an address, of an identity that was verified, or all. */
export const RATE_KEYS = ["client", "identity", "all"] as const;
export type RateKey = (typeof RATE_KEYS)[number];

/** How often a function may be called: a token bucket. */
export interface RateLimitPolicy {
  /** Calls per `periodMs`. */
  readonly calls: number;
  readonly periodMs: number;
  /** Calls that may come at once after a pause. */
  readonly burst: number;
  readonly by: RateKey;
}

export const RATE_LIMIT = "com.faaslane.rate-limit";

const MAX_CALLS = 1_000_000;
const DAY_MS = 24 * 3600e3;
const RULE = `must be a rate such as 100/s, 10/m or 5/10s, perhaps with "; burst=20" and "; by=client", by=identity or by=all`;

/** @returns undefined without its setting, or when it is wrong */
export function readRateLimit(read: PolicySettings): RateLimitPolicy | undefined {
  return read.read(RATE_LIMIT, RULE, parseRateLimit);
}

function parseRateLimit(text: string): RateLimitPolicy | undefined {
  const [rate = "", ...options] = text.split(";").map((part) => part.trim());
  const [, countText, period = ""] = /^(\d{1,7})\s*\/\s*(\w{1,20})$/.exec(rate) ?? [];
  const calls = countOf(countText);
  const periodMs = parseGoDuration(/^\d/.test(period) ? period : `1${period}`);
  if (calls === undefined || periodMs === undefined || periodMs < 1 || periodMs > DAY_MS) return undefined;
  const given = new Map<string, string>();
  for (const option of options) {
    const [, name, value] = /^(burst|by)\s*=\s*(\w+)$/.exec(option) ?? [];
    if (name === undefined || value === undefined || given.has(name)) return undefined;
    given.set(name, value);
  }
  const burst = given.has("burst") ? countOf(given.get("burst")) : calls;
  const by = RATE_KEYS.find((key) => key === (given.get("by") ?? "client"));
  return burst === undefined || by === undefined ? undefined : { calls, periodMs, burst, by };
}

function countOf(text: string | undefined): number | undefined {
  const count = /^\d{1,7}$/.test(text ?? "") ? Number(text) : 0;
  return count >= 1 && count <= MAX_CALLS ? count : undefined;
}

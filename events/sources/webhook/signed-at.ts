import type { WebhookProfile } from "../../webhooks/profiles.ts";
import type { Headers } from "../../webhooks/signature.ts";

/** When a delivery was signed, in seconds since 1970, for profiles whose signatures cover that. */
export function signedAt(profile: WebhookProfile, headers: Headers): number | undefined {
  const text = TIMES[profile]?.(headers);
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

const TIMES: Readonly<Partial<Record<WebhookProfile, (headers: Headers) => string | undefined>>> = {
  stripe: (headers) => /(?:^|,)\s*t=(\d+)/.exec(headers["stripe-signature"] ?? "")?.[1],
  slack: (headers) => headers["x-slack-request-timestamp"],
  standard: (headers) => headers["webhook-timestamp"],
};

import { z } from "zod";
import { atMost, maybe } from "../../../contract/decode.ts";
import { parseGoDuration } from "../../../contract/duration.ts";
import { FaasError } from "../../../contract/errors.ts";
import { type SecretRef, secretRef } from "../../../contract/events/secret-ref.ts";
import {
  DEFAULT_TOLERANCE_MS,
  signatureCheck,
  WEBHOOK_PROFILES,
  type WebhookProfile,
} from "../../webhooks/profiles.ts";
import type { SignatureCheck } from "../../webhooks/signature.ts";

const MAX_SECRETS = 5;
const MAX_EVENTS = 100;
const MAX_TEXT = 256;
const MAX_TOLERANCE_MS = 24 * 3600_000;
const HEADER = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

const headerName = z
  .string()
  .transform((name) => name.toLowerCase())
  .refine((name) => HEADER.test(name), { error: "must be a header's name" });
const oneOf = <const T extends readonly string[]>(values: T) =>
  z.enum(values, { error: `must be one of ${values.join(", ")}` });

const declared = z.strictObject({
  profile: oneOf(WEBHOOK_PROFILES),
  secret: maybe(secretRef),
  secrets: maybe(atMost(MAX_SECRETS, z.array(secretRef))),
  header: maybe(headerName),
  algorithm: maybe(oneOf(["sha256", "sha512", "sha1"])),
  encoding: maybe(oneOf(["hex", "base64"])),
  prefix: maybe(z.string().max(MAX_TEXT)),
  tolerance: maybe(z.string()),
  allowSha1: maybe(z.boolean()),
  events: maybe(atMost(MAX_EVENTS, z.array(z.string().min(1).max(MAX_TEXT)))),
  types: maybe(oneOf(["adapter", "knative"])),
  idHeader: maybe(headerName),
  dedupe: maybe(oneOf(["id", "body"])),
  replays: maybe(oneOf(["refuse", "accept"])),
  topic: maybe(z.string().min(1).max(MAX_TEXT)),
});

/** How a webhook's requests are checked and read. */
export interface WebhookSourceSettings {
  readonly profile: WebhookProfile;
  /** Any of them is right. */
  readonly secrets: readonly SecretRef[];
  readonly check: SignatureCheck;
  /** A token may come in the query too, as CloudEvents' webhooks have it. */
  readonly bearer: boolean;
  /** Events that are taken; all when absent. */
  readonly events: readonly string[] | undefined;
  readonly knative: boolean;
  readonly idHeader: string | undefined;
  /** The same body is the same delivery, where its sender does not name it. */
  readonly sameBody: boolean;
  /** A delivery that is known is answered as the first one was. */
  readonly acceptReplays: boolean;
  readonly topic: string | undefined;
}

export const webhookSettings = declared.transform((given, context): WebhookSourceSettings => {
  const { profile, header, algorithm, encoding, prefix, allowSha1 } = given;
  const refuse = (field: string, rule: string) => {
    context.addIssue({ code: "custom", path: [field], message: rule });
    return z.NEVER;
  };
  const secrets = [...(given.secret ? [given.secret] : []), ...(given.secrets ?? [])];
  if (secrets.length === 0)
    return refuse("secret", "is required: the secret that the sender shares, as { secret: NAME }");
  const toleranceMs = given.tolerance === undefined ? DEFAULT_TOLERANCE_MS : parseGoDuration(given.tolerance);
  if (toleranceMs === undefined || toleranceMs < 1_000 || toleranceMs > MAX_TOLERANCE_MS) {
    return refuse("tolerance", "must be a duration such as 5m, from 1s to 24h");
  }
  if (given.types !== undefined && profile !== "github") return refuse("types", "is for the profile github alone");
  let check: SignatureCheck;
  try {
    check = signatureCheck({ profile, header, algorithm, encoding, prefix, allowSha1, toleranceMs });
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    return refuse("header", `is required with the profile ${profile}`);
  }
  return {
    profile,
    secrets,
    check,
    bearer: profile === "token" && header === "authorization",
    events: given.events,
    knative: given.types === "knative",
    idHeader: given.idHeader,
    sameBody: given.dedupe === "body",
    acceptReplays: given.replays === "accept",
    topic: given.topic,
  };
});

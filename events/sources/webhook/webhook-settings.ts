import { z } from "zod";
import { atMost, maybe } from "../../../contract/decode.ts";
import { parseGoDuration } from "../../../contract/duration.ts";
import { FaasError } from "../../../contract/errors.ts";
import { type SecretRef, secretRef } from "../../../contract/events/secret-ref.ts";
import { serverUrl } from "../../../contract/events/server-settings.ts";
import {
  DEFAULT_TOLERANCE_MS,
  type SecretProfile,
  signatureCheck,
  WEBHOOK_PROFILES,
  type WebhookProfile,
} from "../../webhooks/profiles.ts";
import type { SignatureCheck } from "../../webhooks/signature.ts";
import { TOPIC_ARN } from "../../webhooks/sns.ts";
import type { SnsSettings } from "./sns-receiver.ts";

const MAX_SECRETS = 5;
const MAX_EVENTS = 100;
const MAX_TOPICS = 20;
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
  topicArns: maybe(
    atMost(MAX_TOPICS, z.array(z.string().regex(TOPIC_ARN, { error: "must be the ARN of a topic of SNS" })).min(1)),
  ),
  endpoint: maybe(serverUrl("https", "http")),
});

/** By a secret that the sender shares. */
interface SecretProof {
  readonly kind: "secret";
  readonly profile: SecretProfile;
  readonly check: SignatureCheck;
}

/** Their senders send again whatever is refused, for days: what is known, or not subscribed to, is a success to them. */
const STUBBORN: readonly WebhookProfile[] = ["s3", "sns"];

/** How a webhook's requests are checked and read. */
export interface WebhookSourceSettings {
  readonly profile: WebhookProfile;
  /** Any of them is right; none with the profile `sns`. */
  readonly secrets: readonly SecretRef[];
  readonly proof: SecretProof | ({ readonly kind: "certificate" } & SnsSettings);
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
  /** What is not among `events` is answered as if it were taken. */
  readonly ignoresOthers: boolean;
  readonly topic: string | undefined;
}

export const webhookSettings = declared.transform((given, context): WebhookSourceSettings => {
  const { profile, header, algorithm, encoding, prefix, allowSha1 } = given;
  const refuse = (field: string, rule: string) => {
    context.addIssue({ code: "custom", path: [field], message: rule });
    return z.NEVER;
  };
  const secrets = [...(given.secret ? [given.secret] : []), ...(given.secrets ?? [])];
  const { topicArns, endpoint } = given;
  if (profile !== "sns" && (topicArns ?? endpoint) !== undefined) {
    return refuse(topicArns ? "topicArns" : "endpoint", "is for the profile sns alone");
  }
  if (profile === "sns" && secrets.length > 0) return refuse("secret", "is not for the profile sns");
  if (profile !== "sns" && secrets.length === 0)
    return refuse("secret", "is required: the secret that the sender shares, as { secret: NAME }");
  const toleranceMs = given.tolerance === undefined ? DEFAULT_TOLERANCE_MS : parseGoDuration(given.tolerance);
  if (toleranceMs === undefined || toleranceMs < 1_000 || toleranceMs > MAX_TOLERANCE_MS) {
    return refuse("tolerance", "must be a duration such as 5m, from 1s to 24h");
  }
  if (given.types !== undefined && profile !== "github") return refuse("types", "is for the profile github alone");
  let proof: WebhookSourceSettings["proof"];
  if (profile === "sns") {
    if (!topicArns) return refuse("topicArns", "is required: the ARNs of the topics whose messages are taken");
    proof = { kind: "certificate", topicArns, endpoint, toleranceMs };
  } else {
    try {
      const check = signatureCheck({ profile, header, algorithm, encoding, prefix, allowSha1, toleranceMs });
      proof = { kind: "secret", profile, check };
    } catch (error) {
      if (!(error instanceof FaasError)) throw error;
      return refuse("header", `is required with the profile ${profile}`);
    }
  }
  return {
    profile,
    secrets,
    proof,
    bearer:
      (profile === "token" && header === "authorization") ||
      (profile === "s3" && (header ?? "authorization") === "authorization"),
    events: given.events,
    knative: given.types === "knative",
    idHeader: given.idHeader,
    sameBody: given.dedupe === "body",
    acceptReplays: given.replays === "accept" || (given.replays === undefined && STUBBORN.includes(profile)),
    ignoresOthers: STUBBORN.includes(profile),
    topic: given.topic,
  };
});

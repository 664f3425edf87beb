import { createVerify, type KeyObject, X509Certificate } from "node:crypto";
import { parseBoundedJson } from "../../contract/bounded-json.ts";
import { FaasError } from "../../contract/errors.ts";
import { refused } from "./signature.ts";

export type SnsMessageType = "Notification" | "SubscriptionConfirmation" | "UnsubscribeConfirmation";

/** What Amazon SNS posts, as it is signed. */
export interface SnsMessage {
  readonly type: SnsMessageType;
  readonly id: string;
  readonly topicArn: string;
  readonly timestamp: string;
  readonly message: string;
  readonly subject?: string;
  /** Confirms the subscription, or the one that was ended, when it is asked for. */
  readonly subscribeUrl?: string;
  readonly signature: Buffer;
  readonly algorithm: "sha1" | "sha256";
  readonly certificateUrl: string;
  /** What the signature is of. */
  readonly signed: string;
}

const BOUNDS = { maxDepth: 8, maxValues: 10_000 };
const ALGORITHMS: Readonly<Record<string, SnsMessage["algorithm"]>> = { "1": "sha1", "2": "sha256" };
/** In this order, one that is absent is left out. @see https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html */
const SIGNED: Readonly<Record<SnsMessageType, readonly string[]>> = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
  UnsubscribeConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
};
const MAX_SHORT_CHARS = 2_000;

/** Topics of the partitions whose addresses are public. */
export const TOPIC_ARN =
  /^arn:(aws|aws-us-gov|aws-cn):sns:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?$/;
const CERTIFICATE_PATH = /^\/SimpleNotificationService-[0-9a-f]{8,64}\.pem$/;

/** Reads a message without believing it. @throws {FaasError} `invalid` for what is none */
export function parseSnsMessage(body: Buffer): SnsMessage {
  const fields = fieldsOf(body);
  const text = (name: string, most = MAX_SHORT_CHARS): string => {
    const value = fields[name];
    if (typeof value === "string" && value !== "" && value.length <= most) return value;
    throw new FaasError("invalid", `${name}: must be a text of 1 to ${most} characters`);
  };
  const type = text("Type");
  if (!isMessageType(type)) throw new FaasError("invalid", "Type: must be a notification or confirmation of SNS");
  const algorithm = ALGORITHMS[text("SignatureVersion")];
  if (!algorithm) throw new FaasError("invalid", "SignatureVersion: must be 1 or 2");
  const { Subject: subject } = fields;
  const timestamp = text("Timestamp");
  if (Number.isNaN(Date.parse(timestamp))) throw new FaasError("invalid", "Timestamp: must be a time");
  return {
    type,
    id: text("MessageId"),
    topicArn: text("TopicArn"),
    timestamp,
    message: text("Message", body.length),
    ...(typeof subject === "string" && { subject }),
    ...(type !== "Notification" && { subscribeUrl: text("SubscribeURL") }),
    signature: Buffer.from(text("Signature"), "base64"),
    algorithm,
    certificateUrl: text("SigningCertURL"),
    signed: signedText(fields, SIGNED[type]),
  };
}

function isMessageType(text: string): text is SnsMessageType {
  return Object.hasOwn(SIGNED, text);
}

function signedText(fields: Readonly<Record<string, unknown>>, names: readonly string[]): string {
  return names.map((name) => (typeof fields[name] === "string" ? `${name}\n${fields[name]}\n` : "")).join("");
}

function fieldsOf(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value = parseBoundedJson(body, { ...BOUNDS, maxBytes: body.length }, "body");
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof FaasError) throw cause;
    throw new FaasError("invalid", "body: is not JSON", { cause });
  }
  throw new FaasError("invalid", "body: must be a message of SNS, which is a JSON object");
}

/**
 * Where the service of a topic is: the only place that its certificates are read from and confirmations are sent to.
 * @param endpoint of a server that stands in for AWS
 */
export function snsOrigin(topicArn: string, endpoint: string | undefined): string {
  if (endpoint !== undefined) return new URL(endpoint).origin;
  const [, partition, region] = TOPIC_ARN.exec(topicArn) ?? [];
  if (!region) throw refused("TopicArn: is no topic that is known here");
  return `https://sns.${region}.amazonaws.com${partition === "aws-cn" ? ".cn" : ""}`;
}

/** The certificate's URL, if it is one of the topic's service. @throws {FaasError} `unauthorized` */
export function certificateUrl({ topicArn, certificateUrl: text }: SnsMessage, endpoint: string | undefined): URL {
  const url = ownUrl(text, snsOrigin(topicArn, endpoint));
  const isSound = url?.search === "" && (endpoint === undefined ? CERTIFICATE_PATH : /\.pem$/).test(url.pathname);
  if (!url || !isSound) throw refused("SigningCertURL: is not of the service that the topic belongs to");
  return url;
}

/** What confirms a subscription, if it leads to the topic's service and does nothing else. @throws {FaasError} `unauthorized` */
export function confirmationUrl({ topicArn, subscribeUrl = "" }: SnsMessage, endpoint: string | undefined): URL {
  const url = ownUrl(subscribeUrl, snsOrigin(topicArn, endpoint));
  const query = url?.searchParams;
  const isSound =
    url?.pathname === "/" &&
    query?.getAll("Action").join() === "ConfirmSubscription" &&
    query.getAll("TopicArn").join() === topicArn;
  if (!url || !isSound) throw refused("SubscribeURL: is not of the service that the topic belongs to");
  return url;
}

function ownUrl(text: string, origin: string): URL | undefined {
  const url = URL.parse(text);
  return url && url.origin === origin && url.username === "" && url.password === "" && url.hash === ""
    ? url
    : undefined;
}

/** The key of a certificate that is valid now. @throws {FaasError} `unauthorized` */
export function signingKey(pem: string, nowMs: number): KeyObject {
  try {
    const certificate = new X509Certificate(pem);
    const { publicKey, validFromDate, validToDate } = certificate;
    const isValid = validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();
    if (isValid && publicKey.asymmetricKeyType === "rsa") return publicKey;
  } catch (cause) {
    throw new FaasError("unauthorized", "SigningCertURL: is no certificate", { cause });
  }
  throw refused("SigningCertURL: the certificate is not valid now");
}

/** @throws {FaasError} `unauthorized` */
export function checkSnsSignature({ algorithm, signed, signature }: SnsMessage, key: KeyObject): void {
  if (createVerify(algorithm).update(signed, "utf8").verify(key, signature)) return;
  throw refused("Signature: is wrong");
}

import { Agent } from "undici";
import { FaasError } from "../../../contract/errors.ts";
import { guardedConnector } from "../../../kit/outbound/connector.ts";
import { decodeJsonEvent } from "../../codec/json.ts";
import { refused } from "../../webhooks/signature.ts";
import {
  certificateUrl,
  checkSnsSignature,
  confirmationUrl,
  parseSnsMessage,
  type SnsMessage,
} from "../../webhooks/sns.ts";
import type { WebhookDelivery } from "../../webhooks/webhook-event.ts";
import { eventName, fieldsOf, jsonObject, s3Notification } from "../aws/s3-records.ts";
import { eventOrMessage } from "../event-or-message.ts";
import type { SourceContext } from "../source.ts";
import { fetchText, SnsCertificates } from "./sns-certificates.ts";

export interface SnsSettings {
  /** Topics whose messages are taken: anybody can have a topic of their own send here. */
  readonly topicArns: readonly string[];
  /** Of a server that stands in for AWS. */
  readonly endpoint: string | undefined;
  /** How far in the future a message may be, in milliseconds. */
  readonly toleranceMs: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** As long as a message is known that came before; SNS sends none again after that. */
const MAX_AGE_MS = 24 * 3600_000;

/** Believes messages of SNS that its own certificate has signed, and confirms subscriptions to the declared topics. */
export class SnsReceiver {
  readonly #settings: SnsSettings;
  readonly #context: Pick<SourceContext, "now" | "signal" | "warn" | "log">;
  readonly #agent: Agent;
  readonly #certificates: SnsCertificates;

  constructor(settings: SnsSettings, context: Pick<SourceContext, "now" | "signal" | "warn" | "log" | "targets">) {
    this.#settings = settings;
    this.#context = context;
    this.#agent = new Agent({ connect: guardedConnector(context.targets, CONNECT_TIMEOUT_MS) });
    this.#certificates = new SnsCertificates(this.#agent, context.signal, context.now);
  }

  /**
   * What a message brings; nothing for one that only confirms.
   * @throws {FaasError} `invalid` for what is no message, `unauthorized` for one that is not the topic's, `unavailable`
   * when that cannot be told now
   */
  async read(body: Buffer): Promise<readonly WebhookDelivery[]> {
    const message = parseSnsMessage(body);
    await this.#check(message);
    if (message.type === "Notification") return deliveriesOf(message, (problem) => this.#context.warn(problem));
    if (message.type === "SubscriptionConfirmation") await this.#confirm(message);
    else this.#context.warn(new FaasError("conflict", `the subscription to ${message.topicArn} has been ended`));
    return [];
  }

  async #check(message: SnsMessage): Promise<void> {
    const { topicArns, endpoint, toleranceMs } = this.#settings;
    if (!topicArns.includes(message.topicArn)) throw refused("TopicArn: is none of the topics that are declared");
    const ageMs = this.#context.now() - Date.parse(message.timestamp);
    if (ageMs > MAX_AGE_MS || ageMs < -toleranceMs) throw refused("Timestamp: is too far from now");
    checkSnsSignature(message, await this.#certificates.key(certificateUrl(message, endpoint)));
  }

  async #confirm(message: SnsMessage): Promise<void> {
    const url = confirmationUrl(message, this.#settings.endpoint);
    try {
      await fetchText(url, this.#agent, this.#context.signal);
    } catch (error) {
      this.#context.warn(error);
      // It is sent again, as long as it can be confirmed.
      throw new FaasError("unavailable", "the subscription cannot be confirmed now", { cause: error });
    }
    this.#context.log.info({ topic: message.topicArn }, "subscription confirmed");
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** The message's own event, or one about it. Those of a bucket are one for each object. */
function deliveriesOf(message: SnsMessage, warn: (problem: unknown) => void): readonly WebhookDelivery[] {
  const { id, topicArn, timestamp, subject, message: text } = message;
  const json = jsonObject(text);
  const told = s3Notification(json);
  if (told === "test") return [];
  if (told) {
    return told.records.map((event, place) => ({ event, id: `${id}/${place}`, name: eventName(event) }));
  }
  const isEvent = typeof fieldsOf(json)?.specversion === "string";
  const { event, problem } = eventOrMessage(
    () => (isEvent ? decodeJsonEvent(Buffer.from(text)) : undefined),
    () => ({
      type: "com.amazonaws.sns.notification",
      source: topicArn,
      id,
      subject,
      timeMs: Date.parse(timestamp),
      contentType: json === undefined ? "text/plain; charset=utf-8" : "application/json",
      data: Buffer.from(text),
    }),
  );
  if (problem !== undefined) warn(problem);
  return [{ event, id, name: eventName(event) }];
}

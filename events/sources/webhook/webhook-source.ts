import { createHash, randomUUID } from "node:crypto";
import { parseBoundedJson } from "../../../contract/bounded-json.ts";
import { FaasError } from "../../../contract/errors.ts";
import { keepTrying } from "../../../kit/keep-trying.ts";
import type { HeaderList } from "../../store/event-store.ts";
import type { WebhookRequest } from "../../webhooks/signature.ts";
import { type WebhookDelivery, webhookEvent } from "../../webhooks/webhook-event.ts";
import type { SourceAnswer, SourceContext, SourceRequest, SourceType } from "../source.ts";
import { s3Deliveries } from "./s3-deliveries.ts";
import { SharedSecrets } from "./shared-secrets.ts";
import { signedAt } from "./signed-at.ts";
import { SnsReceiver } from "./sns-receiver.ts";
import { type WebhookSourceSettings, webhookSettings } from "./webhook-settings.ts";

const ACCEPTED: SourceAnswer = { status: 202 };
/** Said of a delivery that is known already. */
const KNOWN: SourceAnswer = { status: 202, headers: { "idempotency-replayed": "true" } };
/** Headers that functions get too: what was sent, and never what proves it. */
const PASSED_ON =
  /^(x-github-(event|delivery|hook-id|hook-installation-target-(id|type))|x-gitlab-(event|event-uuid|instance|webhook-uuid)|webhook-(id|timestamp)|x-amz-sns-(message-id|topic-arn)|x-slack-(retry-num|retry-reason)|user-agent|x-request-id)$/;
const MAX_PASSED_CHARS = 1_024;
/** Between looks whether missing secrets are there, the shortest and the longest wait. */
const SECRETS_WAIT_MS = [1_000, 10_000] as const;
const CONNECTOR = "webhook-connector";

/** `webhook`: requests that others send when something has happened there. */
export const webhookSource: SourceType<WebhookSourceSettings> = {
  type: "webhook",
  settings: webhookSettings,
  shared: true,
  receives: true,
  run: async (settings, context) => {
    const receiver = new WebhookReceiver(settings, context);
    context.receive((request) => receiver.answer(request));
    // Missing secrets show in the status before anybody sends something.
    await keepTrying(() => receiver.secrets.areThere(), SECRETS_WAIT_MS, context.signal);
    context.connected();
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve();
      else context.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await receiver.close();
  },
};

class WebhookReceiver {
  readonly secrets: SharedSecrets;
  readonly #settings: WebhookSourceSettings;
  readonly #context: SourceContext;
  readonly #source: string;
  readonly #sns: SnsReceiver | undefined;

  constructor(settings: WebhookSourceSettings, context: SourceContext) {
    this.#settings = settings;
    this.#context = context;
    this.#source = `/webhooks/${context.namespace}/${context.name}`;
    this.secrets = new SharedSecrets(settings.secrets, context);
    this.#sns = settings.proof.kind === "certificate" ? new SnsReceiver(settings.proof, context) : undefined;
  }

  async answer(request: SourceRequest): Promise<SourceAnswer> {
    if (request.method === "OPTIONS") return consent(request);
    if (request.method !== "POST") throw new FaasError("notAllowed", "webhooks are sent by POST");
    const checked = this.#withToken(request);
    const { profile, proof } = this.#settings;
    if (proof.kind === "secret") proof.check(checked, await this.secrets.read(), this.#context.now());
    const challenge = profile === "slack" ? slackChallenge(checked) : undefined;
    if (challenge !== undefined) {
      return { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body: challenge };
    }
    const deliveries = this.#subscribed(await this.#read(checked));
    return deliveries.length === 0 ? { status: 204 } : await this.#take(checked, deliveries);
  }

  async close(): Promise<void> {
    await this.#sns?.close();
  }

  /** @see https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md#33-uri-query-parameter */
  #withToken({ headers, body, query }: SourceRequest): WebhookRequest {
    const token = query.get("access_token");
    if (!this.#settings.bearer || headers.authorization !== undefined || token === null) return { headers, body };
    return { headers: { ...headers, authorization: `Bearer ${token}` }, body };
  }

  async #read(request: WebhookRequest): Promise<readonly WebhookDelivery[]> {
    const { proof, knative, idHeader, sameBody } = this.#settings;
    if (proof.kind === "certificate") return (await this.#sns?.read(request.body)) ?? [];
    if (proof.profile === "s3") return s3Deliveries(request.body);
    const delivery = webhookEvent(proof.profile, request, {
      source: this.#source,
      knative,
      idHeader,
      newId: (body) => (sameBody ? `sha256:${createHash("sha256").update(body).digest("hex")}` : randomUUID()),
    });
    return delivery ? [delivery] : [];
  }

  /** @throws {FaasError} `notFound` where the sender is to learn that it sends what nobody wants */
  #subscribed(deliveries: readonly WebhookDelivery[]): readonly WebhookDelivery[] {
    const { events, ignoresOthers } = this.#settings;
    if (!events) return deliveries;
    const wanted = deliveries.filter((delivery) => events.some((name) => isSubscribed(name, delivery)));
    const [other] = deliveries;
    if (!other || wanted.length > 0 || ignoresOthers) return wanted;
    throw new FaasError("notFound", `the event ${other.name} is not subscribed to`, { code: "not_subscribed" });
  }

  async #take(request: WebhookRequest, deliveries: readonly WebhookDelivery[]): Promise<SourceAnswer> {
    const { topic, sameBody, acceptReplays } = this.#settings;
    const emitted = deliveries.map(({ event, id }) => {
      const once = id ?? (sameBody ? String(event.attributes.id) : undefined);
      return {
        event,
        headers: passedOn(request, topic ?? String(event.attributes.type)),
        ...(topic !== undefined && { topic }),
        ...(once !== undefined && { once }),
      };
    });
    const appended = await this.#context.emit(emitted);
    const [first] = appended;
    if (!first || appended.some(({ duplicate }) => !duplicate)) return ACCEPTED;
    if (acceptReplays || (await this.#isRetry(request, first.ref))) return KNOWN;
    throw new FaasError("conflict", `the delivery ${emitted[0]?.once} was received before`, {
      code: "already_received",
    });
  }

  /** Whether its sender has signed it anew, after the first one had come: who only repeats what it overheard cannot. */
  async #isRetry({ headers }: WebhookRequest, ref: string): Promise<boolean> {
    const seconds = signedAt(this.#settings.profile, headers);
    if (seconds === undefined) return false;
    const firstAt = await this.#context.arrivedAt(ref);
    return firstAt !== undefined && seconds > Math.floor(firstAt / 1_000);
  }
}

/** `push` is `push` and all of `push.…`; `ObjectCreated` and `s3:ObjectCreated:*` are all of `ObjectCreated:…`. */
function isSubscribed(given: string, { name, event }: WebhookDelivery): boolean {
  const wanted = given.replace(/^s3:/, "").replace(/:\*$/, "");
  const isOf = name === wanted || name.startsWith(`${wanted}.`) || name.startsWith(`${wanted}:`);
  return isOf || event.attributes.type === given;
}

/** Slack asks for it once, when the address is set. */
function slackChallenge({ body }: WebhookRequest): string | undefined {
  if (!body.includes("url_verification")) return undefined;
  try {
    const bounds = { maxBytes: body.length, maxDepth: 10, maxValues: 100 };
    const { type, challenge } = parseBoundedJson(body, bounds, "body") as Record<string, unknown>;
    return type === "url_verification" && typeof challenge === "string"
      ? challenge.slice(0, MAX_PASSED_CHARS)
      : undefined;
  } catch {
    return undefined; // it is read as an event, which says what is wrong
  }
}

/** @see https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md#4-abuse-protection */
function consent({ headers }: SourceRequest): SourceAnswer {
  return {
    status: 200,
    headers: {
      allow: "POST, OPTIONS",
      "webhook-allowed-origin": headers["webhook-request-origin"] ?? "*",
      "webhook-allowed-rate": "*",
    },
  };
}

function passedOn({ headers }: WebhookRequest, topic: string): HeaderList {
  const sent = Object.entries(headers).flatMap(([name, value]) =>
    value !== undefined && value.length <= MAX_PASSED_CHARS && PASSED_ON.test(name) ? [[name, value] as const] : [],
  );
  return [["X-Topic", topic], ["X-Connector", CONNECTOR], ...sent];
}

import { createHash } from "node:crypto";
import { Agent, request } from "undici";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { FaasError } from "../../../contract/errors.ts";
import { secretRef } from "../../../contract/events/secret-ref.ts";
import {
  choice,
  lineOf,
  oneOrMore,
  serverUrl,
  trueOrFalse,
  wholeNumber,
} from "../../../contract/events/server-settings.ts";
import { parseRetryAfter } from "../../../http/retry-after.ts";
import { guardedConnector, TargetRefused } from "../../../kit/outbound/connector.ts";
import type { CloudEvent } from "../../codec/cloud-event.ts";
import { encodeBinary, encodeStructured } from "../../codec/http.ts";
import type { DeliveryAttempt } from "../../delivery/next-attempt.ts";
import { explainFailure } from "../../links/explain.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import type { OpenSink, SinkContext, SinkType } from "../sink.ts";
import { isSigningSecret, standardHeaders } from "./standard-signature.ts";
import { Rate, shakeHands } from "./webhook-handshake.ts";

/** What is ours, or of the connection. */
const RESERVED =
  /^(ce-.*|webhook-.*|host|content-type|content-length|transfer-encoding|connection|expect|upgrade|te)$/i;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;
const MAX_HEADERS = 50;

const headerValue = z.union(
  [lineOf("a header's value", 4096).regex(/^[\x20-\x7e]+$/, { error: "must be printable ASCII" }), secretRef],
  { error: "must be a text, or { secret: NAME }" },
);

function checkHeaders(headers: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  const names = Object.keys(headers);
  if (names.length > MAX_HEADERS)
    context.addIssue({ code: "custom", message: `must have at most ${MAX_HEADERS} entries` });
  for (const name of names.slice(0, MAX_HEADERS)) {
    if (!TOKEN.test(name)) context.addIssue({ code: "custom", path: [name], message: "must be the name of a header" });
    else if (RESERVED.test(name)) context.addIssue({ code: "custom", path: [name], message: "is set by the platform" });
  }
}

const webhookSinkSettings = z.strictObject({
  url: serverUrl("https", "http"),
  format: maybe(choice("binary", "structured")),
  /** Each signs, as Standard Webhooks has it; several while one is changed for another. */
  secrets: maybe(oneOrMore(secretRef, 10)),
  /** Sent as `Authorization: Bearer`. */
  token: maybe(secretRef),
  headers: maybe(z.record(z.string(), headerValue).superRefine(checkHeaders)),
  /** The receiver is asked first whether it wants events from us. */
  handshake: maybe(trueOrFalse),
  /** Who we are to the receiver. */
  origin: maybe(
    lineOf("a host name", 253).regex(/^[-.a-zA-Z0-9]+(:\d{1,5})?$/, {
      error: "must be a host name such as example.com",
    }),
  ),
  /** Requests a minute that are asked for. */
  rate: maybe(wholeNumber(1, 1_000_000)),
});
export type WebhookSinkSettings = z.output<typeof webhookSinkSettings>;

const CONNECT_MS = 10_000;
/** After it, secrets are read again: a new one is used without a new declaration. */
const SECRETS_MS = 30_000;
/** Read of an answer, so that its connection can be used again. */
const MAX_ANSWER_BYTES = 64 * 1024;
const DEFAULT_ORIGIN = "faaslane";

/** Any URL that takes webhooks. */
export const webhookSink: SinkType<WebhookSinkSettings> = {
  type: "webhook",
  settings: webhookSinkSettings,
  open: async (settings, context) => {
    const agent = new Agent({
      connect: guardedConnector(context.targets, CONNECT_MS),
      headersTimeout: 0, // the deadline of the try is the only one
      bodyTimeout: 0,
    });
    const credentials = new Credentials(settings, context);
    const { origin = DEFAULT_ORIGIN, rate } = settings;
    try {
      const { headers } = await credentials.current();
      const allowed = settings.handshake ? await shakeHands(settings.url, { origin, rate }, headers, agent) : undefined;
      return new WebhookSink(settings, context, credentials, agent, new Rate(allowed));
    } catch (error) {
      await agent.destroy();
      throw error instanceof FaasError ? error : credentials.failure(error);
    }
  },
};

class WebhookSink implements OpenSink {
  readonly #settings: WebhookSinkSettings;
  readonly #context: SinkContext;
  readonly #credentials: Credentials;
  readonly #agent: Agent;
  readonly #rate: Rate;

  constructor(settings: WebhookSinkSettings, context: SinkContext, credentials: Credentials, agent: Agent, rate: Rate) {
    this.#settings = settings;
    this.#context = context;
    this.#credentials = credentials;
    this.#agent = agent;
    this.#rate = rate;
  }

  async send(event: CloudEvent, signal: AbortSignal): Promise<DeliveryAttempt> {
    const { url, format } = this.#settings;
    const now = this.#context.now();
    const waitMs = this.#rate.take(now);
    if (waitMs > 0) return { status: 429, retryAfterMs: waitMs, error: "the receiver allows no more requests now" };
    // A webhook has a body, so an event without data is one itself.
    const isStructured = format === "structured" || event.data === undefined || event.data.length === 0;
    const { headers, body } = isStructured ? encodeStructured(event) : encodeBinary(event);
    const { headers: own, signing } = await this.#credentials.current();
    signal.throwIfAborted();
    try {
      const answer = await request(url, {
        method: "POST",
        headers: {
          "user-agent": "faaslane",
          "webhook-request-origin": this.#settings.origin ?? DEFAULT_ORIGIN,
          ...own,
          ...headers,
          ...standardHeaders(this.#deliveryId(event), now, body, signing),
        },
        body,
        signal,
        dispatcher: this.#agent,
      });
      const { statusCode: status, headers: answered } = answer;
      await answer.body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => {}); // the answer is there all the same
      // The receiver says that it will never take this one.
      if (answered["webhook-delivery"] === "abort-message") return { status: 400, error: "the receiver gives it up" };
      const retryAfterMs = parseRetryAfter(single(answered["retry-after"]), now);
      return { status, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TargetRefused) return { status: 400, error: `its target is refused: ${error.message}` };
      const failure = this.#credentials.failure(error);
      // An attribute that no header can hold, which no later try changes.
      if ((error as NodeJS.ErrnoException).code === "UND_ERR_INVALID_ARG")
        return { status: 400, error: failure.message };
      throw failure;
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** The same for each try of an event, also after a crash; another one when it is replayed. */
  #deliveryId({ attributes }: CloudEvent): string {
    const { namespace, name } = this.#context;
    const { source, id, faaslanereplay = "" } = attributes;
    const parts = JSON.stringify([namespace, name, source, id, faaslanereplay]);
    return `msg_${createHash("sha256").update(parts).digest("base64url").slice(0, 32)}`;
  }
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

interface CurrentCredentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly signing: readonly string[];
}

/** Texts of a webhook's secrets, read again every now and then. */
class Credentials {
  readonly #settings: WebhookSinkSettings;
  readonly #secrets: SecretTexts;
  readonly #now: () => number;
  #current: Promise<CurrentCredentials> | undefined;
  #readAt = 0;

  constructor(settings: WebhookSinkSettings, { secret, now }: SinkContext) {
    this.#settings = settings;
    this.#secrets = new SecretTexts(secret);
    this.#now = now;
  }

  /** @throws {FaasError} `notFound`; `unavailable` for a secret that is none to sign with */
  async current(): Promise<CurrentCredentials> {
    const now = this.#now();
    if (!this.#current || Math.abs(now - this.#readAt) > SECRETS_MS) {
      this.#readAt = now;
      const reading = this.#read();
      this.#current = reading;
      reading.catch(() => {
        if (this.#current === reading) this.#current = undefined;
      });
    }
    return await this.#current;
  }

  /** What went wrong, without secrets: some receivers have them in their URL, so that is not told either. */
  failure(error: unknown): FaasError {
    const { origin } = new URL(this.#settings.url);
    return new FaasError("unavailable", this.#secrets.redact(`${origin}: ${explainFailure(error)}`));
  }

  async #read(): Promise<CurrentCredentials> {
    const { token, headers = {}, secrets = [] } = this.#settings;
    const given: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) {
      given[name.toLowerCase()] = typeof value === "string" ? value : printable(await this.#secrets.text(value), name);
    }
    if (token) given.authorization = `Bearer ${printable(await this.#secrets.text(token), "token")}`;
    const signing = await Promise.all(secrets.map((each) => this.#secrets.text(each)));
    const wrong = signing.findIndex((text) => !isSigningSecret(text));
    if (wrong >= 0) {
      throw new FaasError(
        "unavailable",
        `secrets.${wrong}: the secret must be base64 of 16 bytes at least, perhaps behind whsec_`,
      );
    }
    return { headers: given, signing };
  }
}

function printable(text: string, field: string): string {
  if (/^[\x20-\x7e]+$/.test(text)) return text;
  throw new FaasError("unavailable", `${field}: the secret must be one line of printable ASCII`);
}

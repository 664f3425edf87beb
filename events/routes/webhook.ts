import type { IncomingMessage, ServerResponse } from "node:http";
import { FaasError, toFaasError } from "../../contract/errors.ts";
import { isDnsLabel } from "../../contract/names.ts";
import { answerError } from "../../kit/answer-error.ts";
import type { Logger } from "../../kit/log.ts";
import { documentId } from "../sources/document-sources.ts";
import type { AnswerRequest, SourceRequest } from "../sources/source.ts";
import type { SourceRunner } from "../sources/source-runner.ts";
import type { EventBodies } from "./broker.ts";
import { storeInTime } from "./store-in-time.ts";

export const WEBHOOK_PREFIX = "/webhook/";

export interface WebhookIngressOptions {
  readonly runner: Pick<SourceRunner, "ready" | "find" | "whenKnown" | "receiver">;
  readonly bodies: EventBodies;
  /** Largest body: what the store takes as one event. */
  readonly maxBytes: number;
  readonly defaultNamespace: string;
  /** Longest wait for what has not started yet, and for an answer. Default 15 s. */
  readonly timeoutMs?: number;
  readonly log: Pick<Logger, "error">;
}

/** A body that no source reads. */
const NO_BODY: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** `/webhook/[NAMESPACE/]NAME`: requests from outside, for the sources that receive them. */
export class WebhookIngress {
  readonly #options: WebhookIngressOptions;

  constructor(options: WebhookIngressOptions) {
    this.#options = options;
  }

  /** Answers a request whose URL starts with {@link WEBHOOK_PREFIX}. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      const url = new URL(req.url as string, "http://webhook");
      const answer = await this.#receiver(url.pathname);
      const { status, headers, body } = await this.#answer(req, url, answer);
      const text = Buffer.from(body ?? "");
      res.writeHead(status, { ...headers, ...(status !== 204 && { "content-length": text.length }) });
      res.end(text.length > 0 && req.method !== "HEAD" ? text : undefined);
    } catch (thrown) {
      if (req.destroyed && !req.complete) return; // the sender left; nothing was accepted
      const error = toFaasError(thrown);
      if (error.kind === "internal")
        this.#options.log.error({ err: error.cause ?? error }, "answering a webhook failed");
      answerError(res, error, error.kind === "notAllowed" ? { allow: "POST, OPTIONS" } : {});
    }
  }

  async #receiver(path: string): Promise<AnswerRequest> {
    const { runner, defaultNamespace } = this.#options;
    const names = path.slice(WEBHOOK_PREFIX.length).split("/", 3);
    const [namespace = "", name = ""] = names.length === 1 ? [defaultNamespace, ...names] : names;
    if (names.length > 2 || !isDnsLabel(namespace) || !isDnsLabel(name)) {
      throw unknownWebhook("the path must be /webhook/NAME or /webhook/NAMESPACE/NAME");
    }
    await this.#inTime(runner.ready(), "the sources are not known yet");
    const known = runner.find(documentId(namespace, name));
    // One that has just begun takes requests in a moment.
    if (known?.status.state === "connecting") await runner.whenKnown(known.source);
    const answer = runner.receiver(namespace, name);
    if (answer) return answer;
    if (!known) throw unknownWebhook(`there is no webhook ${namespace}/${name}`);
    if (known.status.state === "elsewhere") throw unknownWebhook(`the source ${namespace}/${name} is no webhook`);
    throw new FaasError(
      "unavailable",
      `the webhook ${namespace}/${name} takes nothing now: it is ${known.status.state}`,
    );
  }

  async #answer(req: IncomingMessage, url: URL, answer: AnswerRequest) {
    const request = {
      method: req.method as string,
      headers: headersOf(req),
      query: url.searchParams,
    };
    const ask = (body: Buffer) => this.#inTime(answer({ ...request, body }));
    if (NO_BODY.has(request.method)) return await ask(Buffer.alloc(0));
    return await this.#options.bodies.with(req, ask, undefined, this.#options.maxBytes);
  }

  async #inTime<T>(work: Promise<T>, otherwise?: string): Promise<T> {
    return await storeInTime(work, this.#options.timeoutMs, otherwise);
  }
}

function headersOf({ headers }: IncomingMessage): SourceRequest["headers"] {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
}

function unknownWebhook(message: string): FaasError {
  return new FaasError("notFound", message, { code: "unknown_source" });
}

import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { parseRetryAfter } from "../../http/retry-after.ts";
import type { SpanDelivery } from "./span-exporter.ts";

export interface CollectorOptions {
  readonly url: URL;
  /** Sent with each request; secrets mostly. */
  readonly headers: Readonly<Record<string, string>>;
  readonly gzip: boolean;
  /** Of a whole request, in milliseconds. */
  readonly timeoutMs: number;
  readonly userAgent: string;
}

/** More of an answer is not read. */
const MAX_ANSWER_BYTES = 64 * 1024;
const AGAIN: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const compress = promisify(gzip);

/** The way to a collector: one connection. */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #agent: HttpAgent;

  constructor(options: CollectorOptions) {
    this.#options = options;
    const settings = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1 };
    this.#agent = options.url.protocol === "https:" ? new HttpsAgent(settings) : new HttpAgent(settings);
  }

  /** Never throws: whatever the collector does is a {@link SpanDelivery}. @param text a request of OTLP, as JSON */
  async post(text: string, signal: AbortSignal): Promise<SpanDelivery> {
    const { timeoutMs } = this.#options;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const body = this.#options.gzip ? await compress(text) : Buffer.from(text);
      const { status, retryAfter, answer } = await this.#exchange(body, inTime);
      if (status >= 200 && status < 300) return { kind: "taken", rejected: readRejected(answer) };
      const reason = `the collector answered with status ${status}`;
      if (!AGAIN.has(status)) return { kind: "refused", reason };
      return { kind: "again", reason, afterMs: parseRetryAfter(retryAfter, Date.now()) };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const reason = inTime.aborted ? "the collector did not answer in time" : `the collector is away (${code ?? "?"})`;
      return { kind: "again", reason, afterMs: undefined };
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #exchange(body: Buffer, signal: AbortSignal) {
    const { url, headers, gzip, userAgent } = this.#options;
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, {
      method: "POST",
      agent: this.#agent,
      signal,
      headers: {
        "user-agent": userAgent,
        ...headers,
        "content-type": "application/json",
        ...(gzip && { "content-encoding": "gzip" }),
        "content-length": body.length,
      },
    });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request
        .on("response", resolve)
        .on("error", reject)
        .on("close", () => reject(new Error("no answer")))
        .end(body);
    });
    const answer = await readStart(response);
    return { status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"], answer };
  }
}

/** The beginning of an answer; a connection with more is given up. Its status counts however it ends. */
async function readStart(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > MAX_ANSWER_BYTES) return ""; // leaving the loop destroys it
      pieces.push(piece);
    }
  } catch {
    return "";
  }
  return Buffer.concat(pieces).toString();
}

/** Spans that a collector says it would not have. */
function readRejected(answer: string): number {
  try {
    const { partialSuccess } = JSON.parse(answer) as { partialSuccess?: { rejectedSpans?: unknown } };
    const rejected = Number(partialSuccess?.rejectedSpans ?? 0);
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0; // an empty answer, or one in another encoding
  }
}

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { FaasError, STATUS, toFaasError } from "../../provider/contract/errors.ts";
import { INTERNAL_HEADER } from "../../provider/contract/paths.ts";
import type { Logger } from "../../provider/kit/log.ts";
import { parseCallbackUrl } from "../core/callback-url.ts";
import { parseFunctionPath } from "../core/function-path.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import { answerNoFunction, type FunctionProxy } from "../proxy/function-proxy.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import { buildUpstreamHeaders, type CallHeaders } from "../proxy/headers.ts";
import type { Queue } from "../queue/queue.ts";

export const ASYNC_PREFIX = "/async-function/";

export interface AsyncIntakeOptions {
  readonly queue: Pick<Queue, "publish" | "maxBodyBytes">;
  readonly table: FunctionTable;
  readonly proxy: FunctionProxy;
  readonly log: Logger;
}

/** `POST /async-function/NAME` → 202 once the call is durable. */
export class AsyncIntake {
  readonly #options: AsyncIntakeOptions;

  constructor(options: AsyncIntakeOptions) {
    this.#options = options;
  }

  /** Answers a request whose URL starts with {@link ASYNC_PREFIX}. */
  handle(req: IncomingMessage, res: ServerResponse): void {
    const { proxy } = this.#options;
    const path = parseFunctionPath(req.url as string, ASYNC_PREFIX);
    if (path.kind !== "function") {
      answerNoFunction(res, path);
      return;
    }
    if (req.method !== "POST") {
      res.writeHead(405, { "content-length": "0" }).end();
      return;
    }
    void this.#answer(req, res, path, proxy.newCallHeaders(req));
  }

  async #answer(
    req: IncomingMessage,
    res: ServerResponse,
    { target, url }: { readonly target: string; readonly url: string },
    headers: CallHeaders,
  ): Promise<void> {
    const { table, proxy, log } = this.#options;
    const entry = table.find(target) ?? (await proxy.findLate(target, res, headers));
    if (!entry) return;
    try {
      await this.#accept(req, entry, url, headers);
      res.writeHead(202, { ...proxy.responseHeaders(headers), "content-length": "0" }).end();
    } catch (thrown) {
      if (req.destroyed && !req.complete) return; // the caller left while sending; nothing was accepted
      const error = toFaasError(thrown);
      if (error.kind === "internal") log.error({ err: error.cause, function: entry.qualifiedName }, "queueing failed");
      answerError(res, error, proxy.responseHeaders(headers));
    }
  }

  async #accept(req: IncomingMessage, entry: FunctionEntry, url: string, headers: CallHeaders): Promise<void> {
    const { queue } = this.#options;
    const callbackUrl = parseCallbackUrl(req.headers["x-callback-url"]);
    const upstream = buildUpstreamHeaders(req, headers);
    const pairs: [string, string][] = [];
    for (let i = 0; i < upstream.length; i += 2) pairs.push([upstream[i] as string, upstream[i + 1] as string]);
    const queryAt = url.indexOf("?");
    await queue.publish({
      // A caller's own call id may be that of many calls: everything that one request set off, for one.
      id: randomUUID(),
      callId: headers.callId,
      function: entry.name,
      namespace: entry.namespace,
      method: "POST",
      path: queryAt < 0 ? url : url.slice(0, queryAt),
      query: queryAt < 0 ? "" : url.slice(queryAt + 1),
      headers: pairs,
      body: await readBody(req, queue.maxBodyBytes),
      ...(callbackUrl === undefined ? {} : { callbackUrl }),
      acceptedAt: Date.now(),
    });
  }
}

/** @throws {FaasError} `tooLarge` as soon as the limit is passed; `invalid` when the body breaks off */
async function readBody(req: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const tooLarge = () => new FaasError("tooLarge", `request body is too large, maximum: ${limitBytes} bytes`);
  if (Number(req.headers["content-length"] ?? 0) > limitBytes) throw tooLarge();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  req.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= limitBytes) chunks.push(chunk);
    else {
      chunks.length = 0;
      reject(tooLarge());
    }
  });
  req.on("end", () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
  req.on("error", (cause) => reject(new FaasError("invalid", "the request body broke off", { cause })));
  return await promise;
}

function answerError(res: ServerResponse, error: FaasError, headers: Record<string, string>): void {
  res.writeHead(STATUS[error.kind], {
    ...headers,
    [INTERNAL_HEADER]: "gateway",
    ...(error.kind === "overloaded" || error.kind === "unavailable" ? { "retry-after": "1" } : {}),
    // What is left of a refused body is not worth reading.
    ...(error.kind === "tooLarge" ? { connection: "close" } : {}),
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
  });
  res.end(`${error.message}\n`);
}

import type { Agent, IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { Agent as HttpAgent, request as requestHttp } from "../kit/http.ts";

// Node's own client: a build sends few requests, and a larger one takes longer to load than all of them.

export interface HttpRequest {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readable | Uint8Array | null;
  /** Longest time in which nothing moves on the connection, in milliseconds. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  /** Has to be read to its end, given to {@link dump}, or destroyed. */
  readonly body: IncomingMessage;
}

/** Connections to one server at a time; idle ones go after a while. */
const AGENT = { keepAlive: true, maxSockets: 16, timeout: 30_000 };
/** An answer that nobody wants is read so far that its connection can be used again. */
const MAX_DUMPED_BYTES = 256 * 1024;

/** Sends requests on connections that it keeps; idle ones do not keep the process running. */
export class HttpSender {
  #agent: Agent | undefined;
  #secureAgent: Agent | undefined;

  /**
   * Resolves with the head of the answer.
   * @throws the reason of `signal` when that aborts, also from the body; the error of the connection
   */
  async send(url: URL, asked: HttpRequest): Promise<HttpAnswer> {
    try {
      return await this.#sendOnce(url, asked);
    } catch (error) {
      // The server has closed a connection in the moment that it was used again.
      if (asked.body || !isStale(error)) throw error;
      return await this.#sendOnce(url, asked);
    }
  }

  #plain(): Agent {
    this.#agent ??= new HttpAgent(AGENT);
    return this.#agent;
  }

  #secure(): Agent {
    this.#secureAgent ??= new (process.getBuiltinModule("node:https").Agent)(AGENT);
    return this.#secureAgent;
  }

  #sendOnce(url: URL, { method, headers = {}, body, idleMs, signal }: HttpRequest): Promise<HttpAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const isSecure = url.protocol === "https:";
    // Loaded when it is needed: a registry of this machine has no certificate.
    const send = isSecure ? process.getBuiltinModule("node:https").request : requestHttp;
    const request = send(url, {
      method,
      headers: { ...headers, ...(body instanceof Uint8Array && { "content-length": String(body.length) }) },
      agent: isSecure ? this.#secure() : this.#plain(),
    });
    let answer: IncomingMessage | undefined;
    const stop = () => (answer ?? request).destroy(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    request.once("close", () => signal.removeEventListener("abort", stop));
    request.setTimeout(idleMs, () => request.destroy(new Error(`${url.host} was silent for ${idleMs / 1000} s`)));
    request.on("error", (error) => {
      reject(signal.aborted ? signal.reason : Object.assign(error, { reused: request.reusedSocket }));
      if (body && !(body instanceof Uint8Array)) body.destroy();
    });
    request.once("response", (message) => {
      answer = message;
      // Who answers before it has all of the body does not want the rest.
      if (!request.writableFinished && body && !(body instanceof Uint8Array)) {
        body.unpipe(request);
        body.destroy();
        message.once("end", () => request.destroy());
      }
      resolve({ statusCode: message.statusCode ?? 0, headers: message.headers, body: message });
    });
    if (signal.aborted) stop();
    else if (body && !(body instanceof Uint8Array)) {
      body.once("error", (error) => request.destroy(error));
      body.pipe(request);
    } else request.end(body ?? undefined);
    return promise;
  }
}

/** Reads off an answer that nobody wants. */
export async function dump(body: IncomingMessage): Promise<void> {
  let bytes = 0;
  body.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_DUMPED_BYTES) body.destroy();
  });
  await finished(body).catch(() => {});
}

function isStale(error: unknown): boolean {
  const { code, reused } = error as NodeJS.ErrnoException & { reused?: boolean };
  return reused === true && (code === "ECONNRESET" || code === "EPIPE");
}

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FaasError } from "../../contract/errors.ts";
import { MAX_ANSWER_HEAD_BYTES } from "../../http/forwarding.ts";
import { request as httpRequest } from "../../kit/http.ts";

export interface GatewayRequest {
  readonly method: string;
  /** Path and query, below the gateway's URL. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /** Until the answer has ended. Absent for streams, whose end is for `idleMs` and `signal` to decide. */
  readonly timeoutMs?: number;
  /** Longest silence on the connection; absent or 0 lets it be silent for ever. */
  readonly idleMs?: number;
  readonly signal?: AbortSignal;
}

export interface TransportOptions {
  /** Without a trailing slash. */
  readonly url: string;
  readonly tlsVerify: boolean;
  /** Called for every request once its answer begins. Gets no headers or bodies, so it may be printed. */
  readonly trace?: (line: string) => void;
}

/** Sends one request and resolves with its answer's head; the caller reads or destroys the body. */
export type Transport = (request: GatewayRequest) => Promise<IncomingMessage>;

/**
 * Speaks HTTP with `node:http` rather than `fetch`, which refuses a GET with a body, cuts streams that are silent for
 * five minutes and cannot be told to accept a self-signed certificate.
 */
export function createTransport({ url, tlsVerify, trace }: TransportOptions): Transport {
  return async (request) => {
    const { method, path } = request;
    const startedAt = performance.now();
    const tell = (outcome: string) =>
      trace?.(`${method} ${url}${path} → ${outcome} (${Math.round(performance.now() - startedAt)} ms)`);
    try {
      const response = await sendOne(url, tlsVerify, request);
      tell(String(response.statusCode));
      return response;
    } catch (error) {
      tell("failed");
      throw explainNetworkError(url, error);
    }
  };
}

async function sendOne(url: string, tlsVerify: boolean, given: GatewayRequest): Promise<IncomingMessage> {
  const { method, path, headers, body, timeoutMs = 0, idleMs = 0, signal } = given;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.startsWith("https:") ? process.getBuiltinModule("node:https").request : httpRequest;
  const request = send(url + path, {
    method,
    headers: headersOf(headers, body),
    rejectUnauthorized: tlsVerify,
    // A function's answer, and what the platform has added on its way.
    maxHeaderSize: 2 * MAX_ANSWER_HEAD_BYTES,
    // A connection of its own: one kept from before may be closed by the gateway just as a write goes out on it.
    agent: false,
  });

  let response: IncomingMessage | undefined;
  const stop = (why: Error) => {
    // The answer first: it would otherwise end with the reason of a connection that broke.
    response?.destroy(why);
    request.destroy(why);
  };
  const deadline = timeoutMs > 0 ? setTimeout(() => stop(timeoutError(url, timeoutMs)), timeoutMs) : undefined;
  if (idleMs > 0) request.setTimeout(idleMs, () => stop(timeoutError(url, idleMs)));
  const abort = () => stop(signal?.reason as Error);
  signal?.addEventListener("abort", abort);
  request.once("close", () => {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", abort);
  });
  request.once("response", (head) => {
    response = head;
    resolve(head);
  });
  // Stays for good: an error that comes after the answer must not be an unhandled event.
  request.on("error", reject);
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) request.end(body);
  else pipeline(Readable.from(body, { objectMode: false }), request).catch(reject);
  return await promise;
}

/** Explains a broken connection, or a missing answer, to the user. */
export function explainNetworkError(url: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const why = code === undefined ? undefined : NETWORK_ERRORS[code];
  if (why !== undefined)
    return new FaasError("unavailable", `cannot reach the gateway at ${url}: ${why}`, { cause: error });
  return error;
}

const NETWORK_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused; is it running? `faaslane start` runs one on this machine",
  ECONNRESET: "it closed the connection",
  EPIPE: "it closed the connection before it had all of the request; that may be larger than it takes",
  ENOTFOUND: "the host name is unknown",
  EAI_AGAIN: "the host name cannot be looked up",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "the network is not reachable",
  ETIMEDOUT: "it did not answer",
  HPE_INVALID_CONSTANT: "it does not speak HTTP",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed (--tls-no-verify accepts it)",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is self-signed (--tls-no-verify accepts it)",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate cannot be verified (--tls-no-verify accepts it)",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
};

function timeoutError(url: string, limitMs: number): FaasError {
  return new FaasError("timeout", `the gateway at ${url} did not answer within ${limitMs / 1000} s`);
}

/** Bodies of known size announce it: functions behind simple servers see nothing of a chunked one. */
function headersOf(
  headers: GatewayRequest["headers"],
  body: GatewayRequest["body"],
): Record<string, string | string[]> {
  const entries = Object.entries(headers ?? {}).map(([name, value]) => [
    name,
    typeof value === "string" ? value : [...value],
  ]);
  const sized = typeof body === "string" || body instanceof Uint8Array;
  return { ...Object.fromEntries(entries), ...(sized && { "Content-Length": String(Buffer.byteLength(body)) }) };
}

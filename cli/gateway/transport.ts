import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FaasError } from "../../provider/contract/errors.ts";

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
  /** Told of every request once its answer begins: never sees headers or bodies, so it may be printed. */
  readonly trace?: (line: string) => void;
}

/** Sends one request and resolves with its answer's head; the caller reads or destroys the body. */
export type Transport = (request: GatewayRequest) => Promise<IncomingMessage>;

/**
 * Speaks HTTP with `node:http` rather than `fetch`, which refuses a GET with a body, cuts streams that are silent for
 * five minutes and cannot be told to accept a self-signed certificate.
 */
export function createTransport({ url, tlsVerify, trace }: TransportOptions): Transport {
  return async ({ method, path, headers, body, timeoutMs, idleMs, signal }) => {
    const startedAt = performance.now();
    const deadline = timeoutMs ? AbortSignal.timeout(timeoutMs) : undefined;
    const abort = AbortSignal.any([deadline, signal].filter((given) => given !== undefined));
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const send = url.startsWith("https:") ? httpsRequest : httpRequest;
        const request = send(url + path, {
          method,
          headers: mutable(headers, body),
          signal: abort,
          rejectUnauthorized: tlsVerify,
        });
        request.once("response", resolve);
        // Stays for good: an error that comes after the answer must not be an unhandled event.
        request.on("error", reject);
        if (idleMs) {
          request.setTimeout(idleMs, () => request.destroy(new FaasError("timeout", `silence for ${idleMs / 1000} s`)));
        }
        if (body === undefined || typeof body === "string" || body instanceof Uint8Array) request.end(body);
        else pipeline(Readable.from(body, { objectMode: false }), request).catch(reject);
      });
      trace?.(`${method} ${url}${path} → ${response.statusCode} (${Math.round(performance.now() - startedAt)} ms)`);
      return response;
    } catch (error) {
      trace?.(`${method} ${url}${path} failed (${Math.round(performance.now() - startedAt)} ms)`);
      if (deadline?.aborted) throw timeoutError(url, timeoutMs, error);
      throw explainNetworkError(url, error);
    }
  };
}

/** How a connection that broke, or an answer that did not come, is told to the user. */
export function explainNetworkError(url: string, error: unknown): unknown {
  const { code, name } = error as NodeJS.ErrnoException;
  if (name === "TimeoutError" || name === "AbortError") return timeoutError(url, undefined, error);
  const why = code === undefined ? undefined : NETWORK_ERRORS[code];
  if (why !== undefined)
    return new FaasError("unavailable", `cannot reach the gateway at ${url}: ${why}`, { cause: error });
  return error;
}

const NETWORK_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused; is it running?",
  ECONNRESET: "it closed the connection",
  EPIPE: "it closed the connection while the request was being sent",
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

function timeoutError(url: string, timeoutMs: number | undefined, cause: unknown): FaasError {
  const limit = timeoutMs === undefined ? "in time" : `within ${timeoutMs / 1000} s`;
  return new FaasError("timeout", `the gateway at ${url} did not answer ${limit}`, { cause });
}

/** Bodies of known size announce it: functions behind simple servers see nothing of a chunked one. */
function mutable(headers: GatewayRequest["headers"], body: GatewayRequest["body"]): Record<string, string | string[]> {
  const entries = Object.entries(headers ?? {}).map(([name, value]) => [
    name,
    typeof value === "string" ? value : [...value],
  ]);
  const sized = typeof body === "string" || body instanceof Uint8Array;
  return { ...Object.fromEntries(entries), ...(sized ? { "Content-Length": String(Buffer.byteLength(body)) } : {}) };
}

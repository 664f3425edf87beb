import type { IncomingMessage } from "node:http";
import { codeOfMarkedAnswer, ERROR_HEADER } from "../../contract/error-codes.ts";
import { plainAddress } from "../../http/addresses.ts";
import { endToEndHeaders, mayHaveBody, wantsTrailers } from "../../http/forwarding.ts";
import { INTERNAL_KEY } from "../../http/platform-mark.ts";

type HeadersOf = Pick<IncomingMessage, "rawHeaders" | "headers">;

/** Set anew for the next hop, or answered by Node before a handler runs. */
const OF_THE_REQUEST: ReadonlySet<string> = new Set(["host", "expect"]);
/** What a function must not say: how the platform failed. */
const OF_THE_PLATFORM: ReadonlySet<string> = new Set([ERROR_HEADER]);
/** The same, and of a body that the answer must not have. */
const OF_THE_BODY: ReadonlySet<string> = new Set(["content-length", ERROR_HEADER]);

/** Headers of the call to a function at `address`: flat pairs, as `http.request` takes them. */
export function requestHeaders(req: HeadersOf & Pick<IncomingMessage, "socket">, address: string): string[] {
  const headers = ["Host", address, ...endToEndHeaders(req.rawHeaders, req.headers.connection, OF_THE_REQUEST)];
  if (req.headers["transfer-encoding"] !== undefined) headers.push("Transfer-Encoding", "chunked");
  if (wantsTrailers(String(req.headers.te ?? ""))) headers.push("TE", "trailers");
  if (req.headers["x-forwarded-host"] === undefined && req.headers.host !== undefined) {
    headers.push("X-Forwarded-Host", req.headers.host);
  }
  if (req.headers["x-forwarded-for"] === undefined && req.socket.remoteAddress !== undefined) {
    headers.push("X-Forwarded-For", plainAddress(req.socket.remoteAddress));
  }
  return headers;
}

/** Headers of the answer to the client. */
export function responseHeaders(
  answer: HeadersOf & Pick<IncomingMessage, "statusCode">,
  asked: Pick<IncomingMessage, "method" | "httpVersionMinor">,
): string[] {
  const hasBody = mayHaveBody(answer.statusCode as number);
  const headers = endToEndHeaders(
    answer.rawHeaders,
    answer.headers.connection,
    hasBody ? OF_THE_PLATFORM : OF_THE_BODY,
  );
  const { trailer, "content-length": length, [INTERNAL_KEY]: mark } = answer.headers;
  const code = codeOfMarkedAnswer(mark, answer.statusCode as number);
  if (code !== undefined) headers.push(ERROR_HEADER, code);
  const trails = hasBody && asked.httpVersionMinor > 0 && asked.method !== "HEAD" && length === undefined;
  if (trailer !== undefined && trails) headers.push("Trailer", trailer);
  return headers;
}

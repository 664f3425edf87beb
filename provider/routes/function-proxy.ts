import type {
  ClientRequest,
  Agent as HttpAgent,
  IncomingMessage,
  InformationEvent,
  OutgoingMessage,
  RequestListener,
  ServerResponse,
} from "node:http";
import { finished, pipeline } from "node:stream/promises";
import { ERROR_HEADER, type ErrorCode } from "../../contract/error-codes.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import { CONTINUE_PATIENCE_MS, waitsForLeave } from "../../http/expect.ts";
import {
  isFinalStatus,
  isUntyped,
  MAX_FORWARDED_HEAD_BYTES,
  MAX_INTERIM_ANSWERS,
  sendableReason,
  trailerFields,
} from "../../http/forwarding.ts";
import { INTERNAL_KEY } from "../../http/platform-mark.ts";
import { sniffContentType } from "../../http/sniff.ts";
import { type PendingUpgrade, upgradeOf } from "../../http/upgrades.ts";
import { Agent, request, STATUS_CODES } from "../../kit/http.ts";
import type { Logger } from "../../kit/log.ts";
import type { EndpointSnapshot } from "./endpoint-snapshot.ts";
import { requestHeaders, responseHeaders } from "./forward-headers.ts";
import { parseFunctionUrl } from "./function-url.ts";
import { isSwitch, joinConnections } from "./switch-protocols.ts";

export interface FunctionProxyRouteOptions {
  readonly snapshot: Pick<EndpointSnapshot, "find">;
  readonly fallbackNamespace: string;
  readonly log: Logger;
  /** Somebody has called a function of which no replica is ready. */
  readonly expedite?: ((ref: FunctionRef) => void) | undefined;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

/** Early hints that are passed on; the others are only counted. */
const MAX_HINTS = 10;

const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]);

/** Less than the 5 s after which Node's servers close an idle connection, so that a call rarely meets one closing. */
const IDLE_CONNECTION_MS = 4000;

/** `/function/{name}[.{namespace}][/…]` for gateways that do not know the endpoints stream. */
export function proxyFunctions(options: FunctionProxyRouteOptions): RequestListener {
  const { snapshot, fallbackNamespace, log, expedite, random = Math.random } = options;
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1024, timeout: IDLE_CONNECTION_MS });

  return async (req, res) => {
    if (!METHODS.has(req.method ?? "")) {
      res.writeHead(405, { [ERROR_HEADER]: "method_not_allowed" }).end();
      return;
    }
    const target = parseFunctionUrl(req.url ?? "", fallbackNamespace);
    if (!target) {
      fail(res, 404, "unknown_route", "404 page not found");
      return;
    }
    const { name } = target.ref;
    const upgrade = upgradeOf(req);
    if (upgrade?.full) {
      fail(res, 503, "too_many_upgrades", "too many connections that have changed their protocol are open", true);
      return;
    }
    try {
      const { addresses = [], timeoutMs = 0 } = (await snapshot.find(target.ref)) ?? {};
      if (res.destroyed) return; // the client has left meanwhile, and nothing would tell that again
      const address = addresses[Math.floor(random() * addresses.length)];
      if (address === undefined) {
        expedite?.(target.ref);
        fail(res, 503, "no_replica_ready", `No endpoints available for: ${name}.`, true);
        return;
      }
      await forward(req, res, { address, path: target.path, agent, timeoutMs, upgrade });
    } catch (err) {
      log.debug({ err, function: name, namespace: target.ref.namespace }, "call failed");
      if (res.headersSent || res.destroyed) res.destroy();
      else fail(res, 500, "replica_unreachable", `Can't reach service for: ${name}.`, true);
    }
  };
}

function fail(res: ServerResponse, status: number, code: ErrorCode, text: string, internal = false): void {
  if (internal) res.setHeader(INTERNAL_KEY, "proxy");
  res.setHeader(ERROR_HEADER, code);
  res.setHeader("X-Content-Type-Options", "nosniff");
  res.setHeader("Content-Type", "text/plain; charset=utf-8");
  res.setHeader("Content-Length", Buffer.byteLength(text) + 1);
  res.statusMessage = ""; // perhaps of an answer that could not be passed on
  res.writeHead(status).end(`${text}\n`);
}

interface Hop {
  readonly address: string;
  readonly path: string;
  readonly agent: HttpAgent;
  /** Longest wait for the head of the answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly upgrade: PendingUpgrade | undefined;
}

/** Streams the call to the replica and its answer back; when one side leaves, the other is cut too. */
async function forward(req: IncomingMessage, res: ServerResponse, hop: Hop): Promise<void> {
  let upstream = send(req, hop);
  const left = () => upstream.destroy(new Error("the client left"));
  res.once("close", left);
  try {
    const hint = (information: InformationEvent) => passHint(information, req, res);
    const answer = await head(upstream, hop, hint).catch((error: NodeJS.ErrnoException) => {
      if (!metClosingConnection(req, upstream, error)) throw error;
      upstream = send(req, hop);
      return head(upstream, hop, hint);
    });
    if (hop.upgrade && isSwitch(answer)) {
      joinConnections(answer, res, hop.upgrade);
      return;
    }
    const status = answer.statusCode as number;
    if (!isFinalStatus(status)) throw new Error(`the function answered with status ${status}`);
    const reason = sendableReason(answer.statusMessage) ?? STATUS_CODES[status] ?? "";
    const headers = responseHeaders(answer, req);
    if (isUntyped(status, req.method as string, answer.headers)) {
      const piece = await firstPiece(answer);
      if (piece !== undefined) headers.push("Content-Type", sniffContentType(piece));
    }
    res.writeHead(status, reason, headers);
    // A stream of unknown length may stay silent for long; its reader wants to know that it has begun.
    if (answer.headers["content-length"] === undefined) res.flushHeaders();
    await pipeline(answer, res, { end: false });
    if (answer.rawTrailers.length > 0) passTrailers(answer.rawTrailers, res);
    res.end();
    await finished(res);
  } finally {
    res.off("close", left);
    req.unpipe(upstream);
    // A function may answer before it has read the whole body; it has no use for the rest.
    if (!upstream.writableFinished) upstream.destroy();
  }
}

function send(req: IncomingMessage, { address, path, agent, upgrade }: Hop): ClientRequest {
  const url = new URL(`http://${address}`);
  const headers = requestHeaders(req, address);
  if (upgrade) headers.push("Connection", "Upgrade", "Upgrade", upgrade.protocols);
  const waits = hasBody(req) && waitsForLeave(req);
  if (waits) headers.push("Expect", "100-continue");
  const announced = req.headers["transfer-encoding"] === undefined ? undefined : req.headers.trailer;
  if (announced !== undefined) headers.push("Trailer", announced);
  const upstream = request({
    // One that may change its protocol is no more use to others.
    agent: upgrade ? false : agent,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port || 80,
    method: req.method as string,
    path,
    headers,
    maxHeaderSize: MAX_FORWARDED_HEAD_BYTES,
  });
  // Node drops headers past a count without a word; their size has a limit.
  upstream.maxHeadersCount = 0;
  // Before the body's end, which `pipe` passes on.
  if (announced !== undefined) req.once("end", () => passTrailers(req.rawTrailers, upstream));
  // Not `pipeline`: upon a failure it would destroy the client's connection, which still awaits its answer.
  if (waits) pipeWhenWanted(req, upstream);
  else req.pipe(upstream);
  // A body that has not begun to arrive must not hold up the head: the function may want to answer to that alone.
  if (hasBody(req) && req.readableLength === 0) upstream.flushHeaders();
  return upstream;
}

/** Sends the body when the function says that it wants it, as its sender asks for. */
function pipeWhenWanted(req: IncomingMessage, upstream: ClientRequest): void {
  const begin = () => {
    clearTimeout(late);
    if (!upstream.destroyed && !upstream.writableEnded) req.pipe(upstream);
  };
  const late = setTimeout(begin, CONTINUE_PATIENCE_MS);
  upstream.once("continue", begin);
  for (const event of ["response", "error", "close"]) upstream.once(event, () => clearTimeout(late));
}

/** For the first piece of a body to say what the body is; a stream's reader wants to know that it is connected. */
const PATIENCE_MS = 100;

/** The first piece of a body, left in its place; undefined for none, and for one that is long in coming. */
async function firstPiece(answer: IncomingMessage): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const late = setTimeout(resolve, PATIENCE_MS);
  const events = ["readable", "end", "close"] as const;
  for (const event of events) answer.once(event, resolve);
  await promise;
  clearTimeout(late);
  for (const event of events) answer.off(event, resolve);
  const piece = answer.read() as Buffer | null;
  if (piece !== null) answer.unshift(piece);
  return piece ?? undefined;
}

async function head(
  upstream: ClientRequest,
  { timeoutMs, upgrade: switches }: Hop,
  hint: (information: InformationEvent) => void,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const late = setTimeout(() => upstream.destroy(new Error("no answer in time")), timeoutMs);
  upstream.once("response", resolve);
  if (switches) {
    upstream.once("upgrade", (answer, socket, rest) => {
      if (rest.length > 0) socket.unshift(rest);
      resolve(answer);
    });
  }
  let interimAnswers = 0;
  upstream.on("information", (information) => {
    interimAnswers++;
    if (interimAnswers > MAX_INTERIM_ANSWERS) upstream.destroy(new Error("no final answer"));
    else if (interimAnswers <= MAX_HINTS) hint(information);
  });
  // Stays on, as errors that follow the head come with the answer's stream too and must not go unhandled here.
  upstream.on("error", reject);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
  }
}

/** Early hints, and that something goes on, reach those who can be told. */
function passHint({ statusCode, rawHeaders }: InformationEvent, req: IncomingMessage, res: ServerResponse): void {
  if ((statusCode !== 103 && statusCode !== 102) || res.headersSent || res.destroyed || req.httpVersionMinor === 0)
    return;
  try {
    res.writeInformation(statusCode, Object.fromEntries(functionFields(rawHeaders)));
  } catch {
    // A character that no header may hold; it was a hint only.
  }
}

function passTrailers(rawTrailers: readonly string[], target: OutgoingMessage): void {
  try {
    target.addTrailers(functionFields(rawTrailers));
  } catch {
    // The same. The body, which is what matters, is whole.
  }
}

/** Whether a kept connection was closed as the call went out, so that the function cannot have seen it. */
function metClosingConnection(req: IncomingMessage, upstream: ClientRequest, error: NodeJS.ErrnoException): boolean {
  return upstream.reusedSocket && error.code === "ECONNRESET" && !hasBody(req);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

/** What of a function's trailers or hints travels on; how the platform failed is not for it to say. */
function functionFields(raw: readonly string[]): [name: string, value: string][] {
  return trailerFields(raw).filter(([name]) => name.toLowerCase() !== ERROR_HEADER);
}

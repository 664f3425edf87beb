import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { FaasError } from "../../contract/errors.ts";
import { BodyInTurns } from "../../http/body-in-turns.ts";
import { giveTime } from "../../http/connections.ts";
import { waitsForLeave } from "../../http/expect.ts";
import { endToEndHeaders, mayHaveBody, sendableReason, trailerFields, wantsTrailers } from "../../http/forwarding.ts";
import type { OtherConnections } from "../../http/other-connections.ts";
import { type PendingUpgrade, upgradeOf } from "../../http/upgrades.ts";
import { Agent, request } from "../../kit/http.ts";
import { MAX_HEADER_BYTES } from "../../kit/server.ts";
import { writeAnswer } from "../proxy/http-exchange.ts";
import { failureAnswer } from "../proxy/platform-answers.ts";
import { undoRoute } from "../proxy/routed-requests.ts";

/** Says for whom a request is passed on. Only what comes over the threads' own socket is believed. */
export const PEER_HEADER = "x-faaslane-peer";

const OURS: ReadonlySet<string> = new Set([PEER_HEADER]);

/** Who answers there is in the same process, and has its own limits for everything; a day is for ever. */
const ALL_TIME_MS = 24 * 60 * 60_000;

/** Of a request that is passed on: both ends of its connection, and one to a replica. */
const DESCRIPTORS = 3;

/** Bodies up to this size take no turns. */
const SMALL_BODY_BYTES = 64 * 1024;

/** Passes requests on to the main thread, as they are, and its answers back. */
export class Relay {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 16 });

  readonly #others: OtherConnections;

  /** @param others counts connections to the main thread, with what they take there */
  constructor(socketPath: string, others: OtherConnections) {
    this.#socketPath = socketPath;
    this.#others = others;
  }

  readonly pass = (req: IncomingMessage, res: ServerResponse): void => {
    // Who gets it there looks for its route.
    undoRoute(req);
    const upgrade = upgradeOf(req);
    const there = request({
      agent: this.#agent,
      socketPath: this.#socketPath,
      method: req.method as string,
      path: req.url as string,
      headers: requestHeaders(req, upgrade),
      maxHeaderSize: MAX_HEADER_BYTES,
      setHost: false,
    });
    there.maxHeadersCount = 0;
    there.on("socket", (socket) => {
      if (!there.reusedSocket) this.#others.add(socket, DESCRIPTORS);
    });
    giveTime(req, ALL_TIME_MS);
    res.on("close", () => {
      if (!res.writableFinished) there.destroy();
    });
    there.on("error", () => fail(res));
    there.on("information", (info) => {
      if (info.statusCode === 100 || res.headersSent || res.destroyed || req.httpVersionMinor === 0) return;
      res.writeInformation(info.statusCode, info.headers as Record<string, string>);
    });
    there.on("response", (answer) => passAnswer(answer, res));
    if (upgrade) there.on("upgrade", (answer, socket, head) => join(upgrade, answer, socket, head));
    sendBody(req, there);
  };

  close(): void {
    this.#agent.destroy();
  }
}

function requestHeaders(req: IncomingMessage, upgrade: PendingUpgrade | undefined): string[] {
  const { headers, rawHeaders, socket } = req;
  const passed = endToEndHeaders(rawHeaders, headers.connection, OURS);
  // Those of HTTP/1.0 need not name one.
  if (headers.host === undefined) passed.push("Host", "");
  if (socket.remoteAddress !== undefined) passed.push(PEER_HEADER, socket.remoteAddress);
  if (headers["proxy-authorization"] !== undefined) passed.push("Proxy-Authorization", headers["proxy-authorization"]);
  if (headers["transfer-encoding"] !== undefined) passed.push("Transfer-Encoding", "chunked");
  if (headers.trailer !== undefined) passed.push("Trailer", headers.trailer);
  if (upgrade) passed.push("Connection", "Upgrade", "Upgrade", upgrade.protocols);
  else if (wantsTrailers(String(headers.te))) passed.push("TE", "trailers");
  return passed;
}

/** A body that its sender has not been asked for yet is asked for when the main thread wants it. */
function sendBody(req: IncomingMessage, there: ClientRequest): void {
  const { "content-length": length = "0", "transfer-encoding": encoding } = req.headers;
  if (encoding === undefined && length === "0") {
    there.end();
    return;
  }
  const send = () => {
    const body = encoding === undefined && Number(length) <= SMALL_BODY_BYTES ? req : req.pipe(new BodyInTurns());
    body.on("end", () => {
      if (encoding !== undefined) addTrailers(there, trailerFields(req.rawTrailers));
      there.end();
    });
    req.on("error", () => there.destroy());
    body.pipe(there, { end: false });
  };
  if (!waitsForLeave(req)) {
    send();
    return;
  }
  there.once("continue", send);
  there.flushHeaders();
}

function passAnswer(answer: IncomingMessage, res: ServerResponse): void {
  const { headers, rawHeaders, httpVersionMinor } = answer;
  const status = answer.statusCode as number;
  const { req } = res;
  const passed = endToEndHeaders(rawHeaders, headers.connection);
  const chunked = headers["content-length"] === undefined && req.method !== "HEAD" && mayHaveBody(status);
  if (headers.trailer !== undefined && chunked && req.httpVersionMinor > 0 && httpVersionMinor > 0) {
    passed.push("Trailer", headers.trailer);
  }
  if (headers.connection === "close") passed.push("Connection", "close");
  const reason = sendableReason(answer.statusMessage);
  if (reason === undefined) res.writeHead(status, passed);
  else res.writeHead(status, reason, passed);
  if (chunked) res.flushHeaders();
  const body = Number(headers["content-length"]) <= SMALL_BODY_BYTES ? answer : answer.pipe(new BodyInTurns());
  answer.on("error", () => res.destroy());
  body.on("end", () => {
    if (chunked) addTrailers(res, trailerFields(answer.rawTrailers));
    res.end();
  });
  body.pipe(res, { end: false });
}

function addTrailers(message: ClientRequest | ServerResponse, trailers: [name: string, value: string][]): void {
  try {
    if (trailers.length > 0) message.addTrailers(trailers);
  } catch {
    // A character that no header may hold. The body, which is what matters, is whole.
  }
}

function join(upgrade: PendingUpgrade, answer: IncomingMessage, socket: Socket, head: Buffer): void {
  if (head.length > 0) socket.unshift(head);
  const headers = endToEndHeaders(answer.rawHeaders, answer.headers.connection);
  headers.push("Connection", "Upgrade", "Upgrade", answer.headers.upgrade ?? "");
  upgrade.switchTo(headers, socket);
}

function fail(res: ServerResponse): void {
  if (res.destroyed) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const error = new FaasError("unavailable", "the gateway is stopping", { code: "stopping" });
  writeAnswer(res, failureAnswer(error, "proxy", {}, 1));
}

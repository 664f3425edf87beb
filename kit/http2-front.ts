import type { ClientRequest, IncomingMessage, InformationEvent } from "node:http";
import type {
  Http2Server,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { endToEndHeaders, trailerFields } from "../http/forwarding.ts";
import type { ParseError } from "../http/raw-target.ts";
import { Agent as HttpAgent, request } from "./http.ts";
import { PairedSocket } from "./socket-pair.ts";

/** What a client of HTTP/2 says first. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Calls at a time on one connection. */
const MAX_STREAMS = 128;
/** Bytes of one request's headers, as for HTTP/1.1. */
const MAX_HEADER_LIST_BYTES = 1024 * 1024;
const MAX_HEADER_PAIRS = 2_000;
/** Memory of one connection, in megabytes. */
const MAX_SESSION_MB = 10;
/** Streams that may be reset: so many at once, and so many a second after that. */
const RESET_BURST = 200;
const RESETS_A_SECOND = 50;
/** Pings, and changes of settings, that a connection may send in a second. */
const MAX_CONTROL_A_SECOND = 100;
/** A connection without calls is closed after so long. */
const IDLE_MS = 120_000;
/** One that has not sent a request yet. */
const FIRST_REQUEST_MS = 20_000;

/** How long the rest of a request is read off that came too late for its answer. */
const LINGER_MS = 5_000;

/** Codes of RFC 9113 §7. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
const ENHANCE_YOUR_CALM = 11;

const METHODS_WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

/**
 * Clients that speak HTTP/2, over TLS or without. Each of their requests goes to a server of HTTP/1.1 over a connection
 * within the process, so that it is served, limited, counted and refused as every other request.
 */
export class Http2Front {
  readonly #serveConnection: (socket: Socket) => void;
  readonly #maxSessions: number;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #taken = new WeakSet<Socket>();
  #http2: Http2Server | undefined;
  #draining = false;

  /** @param serve serves a connection of HTTP/1.1 */
  constructor(serve: (socket: Socket) => void, maxSessions: number) {
    this.#serveConnection = serve;
    this.#maxSessions = maxSessions;
  }

  /**
   * Takes over a connection whose first bytes are those of HTTP/2, which a parser of HTTP/1.1 has met.
   * @param isFresh whether there was no request on it yet
   * @returns whether it is, or has been, taken over; what that parser thinks of it is of no interest then
   */
  takesOver({ code, rawPacket, bytesParsed = 0 }: ParseError, socket: Socket, isFresh: boolean): boolean {
    if (this.#taken.has(socket)) return true;
    // Behind requests it would be a way to hide others; over TLS it would have been agreed on before.
    if (code !== "HPE_PAUSED_H2_UPGRADE" || !rawPacket || !isFresh || "encrypted" in socket) return false;
    const parsed = rawPacket.subarray(0, bytesParsed);
    if (!PREFACE.subarray(-bytesParsed).equals(parsed)) return false;
    this.#taken.add(socket);
    this.#accept(socket, rawPacket.subarray(bytesParsed));
    return true;
  }

  /** Serves a connection over TLS on which HTTP/2 was agreed on. */
  serve(socket: Socket): void {
    if (this.#isFull) socket.destroy();
    else this.#emit(socket);
  }

  /** Whether there are as many connections as there may be. */
  get #isFull(): boolean {
    return this.#draining || this.#sessions.size >= this.#maxSessions;
  }

  #emit(socket: Socket): void {
    this.#http2 ??= this.#open();
    this.#http2.emit("connection", socket);
  }

  /** @param rest what has been read behind the preface */
  #accept(socket: Socket, rest: Buffer): void {
    if (this.#isFull) {
      socket.destroy();
      return;
    }
    // To listen makes Node's server let go of the connection; then its listeners go.
    socket.on("data", ignore);
    for (const event of ["data", "end", "drain", "timeout", "error"]) socket.removeAllListeners(event);
    socket.on("error", ignore);
    socket.pause();
    (socket as { readableFlowing: boolean | null }).readableFlowing = null;
    socket.setTimeout(0);
    socket.unshift(Buffer.concat([PREFACE, rest]));
    this.#emit(socket);
  }

  /** No new calls; those under way go on. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions) session.close();
  }

  closeAll(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #open(): Http2Server {
    const server = process.getBuiltinModule("node:http2").createServer({
      maxSessionMemory: MAX_SESSION_MB,
      maxHeaderListPairs: MAX_HEADER_PAIRS,
      maxOutstandingPings: 10,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      maxSettings: 32,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESETS_A_SECOND,
      settings: {
        enablePush: false,
        enableConnectProtocol: false,
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: MAX_HEADER_LIST_BYTES,
      },
    } as Parameters<typeof import("node:http2").createServer>[0]);
    server.on("session", (session) => this.#keep(session));
    server.on("sessionError", ignore); // it ends the session, which is all there is to do
    server.on("stream", (stream, headers, _flags, rawHeaders: unknown) => {
      this.#serve(stream, headers, rawHeaders as string[]);
    });
    return server;
  }

  #keep(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    const { socket } = session;
    const agent = new SessionAgent(this.#serveConnection, socket.remoteAddress);
    agents.set(session, agent);
    limitControlFrames(session);
    let calls = 0;
    session.setTimeout(FIRST_REQUEST_MS, () => calls === 0 && session.close());
    session.on("stream", (stream) => {
      calls++;
      stream.once("close", () => {
        calls--;
        if (calls === 0) session.setTimeout(IDLE_MS);
      });
    });
    session.on("close", () => {
      this.#sessions.delete(session);
      agent.destroy();
      socket.destroy();
    });
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    stream.on("error", ignore); // a client that breaks off; `close` follows
    const { session } = stream;
    const agent = session && agents.get(session as ServerHttp2Session);
    if (!agent) {
      stream.close(NO_ERROR);
      return;
    }
    if (headers[":method"] === "CONNECT") {
      answerEmpty(stream, 405);
      return;
    }
    let call: ClientRequest;
    try {
      call = request({
        agent,
        method: headers[":method"] as string,
        path: headers[":path"] as string,
        headers: requestHeaders(stream, headers, rawHeaders),
        setHost: false,
        maxHeaderSize: MAX_HEADER_LIST_BYTES,
      });
    } catch {
      answerEmpty(stream, 400); // what HTTP/1.1 cannot say
      return;
    }
    call.maxHeadersCount = 0;
    passRequest(stream, call);
    passAnswer(stream, call);
  }
}

const agents = new WeakMap<ServerHttp2Session, SessionAgent>();

/** Connections to a server of this process, for the requests of one connection of a client. */
class SessionAgent extends HttpAgent {
  readonly #serve: (socket: Socket) => void;
  readonly #remoteAddress: string | undefined;

  constructor(serve: (socket: Socket) => void, remoteAddress: string | undefined) {
    super({ keepAlive: true, maxFreeSockets: MAX_STREAMS });
    this.#serve = serve;
    this.#remoteAddress = remoteAddress;
  }

  override createConnection(): Duplex {
    const { client, server } = PairedSocket.pair(this.#remoteAddress);
    this.#serve(server as Duplex as Socket);
    return client;
  }
}

/** Node answers each of them, and knows no limit but for a client that does not read. */
function limitControlFrames(session: ServerHttp2Session): void {
  let second = 0;
  let count = 0;
  const counted = () => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) count = 0;
    second = now;
    if (++count > MAX_CONTROL_A_SECOND) session.destroy(undefined, ENHANCE_YOUR_CALM);
  };
  session.on("ping", counted);
  session.on("remoteSettings", counted);
}

/** Names and values in turn; `Host` from `:authority`, and the crumbs of a cookie joined. RFC 9113 §8.2.3 and §8.3.1 */
function requestHeaders(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): string[] {
  const authority = headers[":authority"] ?? headers.host;
  const built: string[] = authority === undefined ? [] : ["Host", authority];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.startsWith(":") || name === "host" || name === "cookie") continue;
    built.push(name, rawHeaders[i + 1] as string);
  }
  if (headers.cookie !== undefined) built.push("Cookie", headers.cookie);
  if (stream.endAfterHeaders) {
    const isMissing = headers["content-length"] === undefined && METHODS_WITH_BODY.has(headers[":method"] as string);
    if (isMissing) built.push("Content-Length", "0");
  } else if (headers["content-length"] === undefined) built.push("Transfer-Encoding", "chunked");
  return built;
}

function passRequest(stream: ServerHttp2Stream, call: ClientRequest): void {
  stream.on("close", () => call.destroy());
  if (stream.endAfterHeaders) {
    call.end();
    return;
  }
  stream.on("trailers", (_trailers, _flags, raw?: unknown) => {
    const fields = trailerFields((raw ?? []) as string[]);
    if (fields.length > 0) call.addTrailers(fields);
  });
  call.flushHeaders();
  stream.pipe(call);
}

function passAnswer(stream: ServerHttp2Stream, call: ClientRequest): void {
  call.on("continue", () => inform(stream, { ":status": 100 }));
  call.on("information", (information: InformationEvent) => {
    if (information.statusCode === 100) return;
    inform(stream, { ":status": information.statusCode, ...fieldsOf(information.rawHeaders) });
  });
  let answered = false;
  call.on("error", () => {
    // An answer that has begun tells by itself whether it is whole.
    if (!answered && !stream.closed) stream.close(INTERNAL_ERROR);
  });
  call.on("response", (answer) => {
    answered = true;
    begin(stream, call, answer);
  });
}

function inform(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  if (stream.headersSent || stream.closed || stream.destroyed) return;
  try {
    stream.additionalHeaders(headers);
  } catch {
    // What HTTP/2 does not know; it was a hint only.
  }
}

function begin(stream: ServerHttp2Stream, call: ClientRequest, answer: IncomingMessage): void {
  if (stream.closed || stream.destroyed) {
    answer.resume();
    return;
  }
  answer.on("error", () => stream.close(INTERNAL_ERROR));
  answer.on("aborted", () => stream.close(INTERNAL_ERROR));
  // Without any an empty piece ends the stream.
  stream.on("wantTrailers", () => stream.sendTrailers(fieldsOf(answer.rawTrailers)));
  try {
    const headers = fieldsOf(answer.rawHeaders, answer.headers.connection);
    stream.respond({ ":status": answer.statusCode, ...headers }, { waitForTrailers: true });
  } catch {
    stream.close(INTERNAL_ERROR);
    return;
  }
  answer.pipe(stream);
  answer.on("end", () => discardRest(stream, call));
}

/** What is left of a request that is answered is read off for a while, so that the answer arrives. */
function discardRest(stream: ServerHttp2Stream, call: ClientRequest): void {
  if (stream.readableEnded || stream.destroyed) return;
  stream.unpipe(call);
  stream.resume();
  const late = setTimeout(() => stream.close(NO_ERROR), LINGER_MS);
  stream.once("close", () => clearTimeout(late));
}

function answerEmpty(stream: ServerHttp2Stream, status: number): void {
  stream.respond({ ":status": status, "content-length": 0 }, { endStream: true });
}

/** What of a message's fields HTTP/2 can say, by lower-case name. */
function fieldsOf(raw: readonly string[], connection?: string): OutgoingHttpHeaders {
  const fields: Record<string, string[]> = {};
  const kept = endToEndHeaders(raw, connection);
  for (let i = 0; i + 1 < kept.length; i += 2) {
    const name = (kept[i] as string).toLowerCase();
    if (name === "http2-settings") continue;
    const values = Object.hasOwn(fields, name) ? (fields[name] as string[]) : [];
    values.push(kept[i + 1] as string);
    Object.defineProperty(fields, name, { value: values, enumerable: true, configurable: true });
  }
  return Object.fromEntries(
    Object.entries(fields).map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}

function ignore(): void {}

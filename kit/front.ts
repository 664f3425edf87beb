import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { TrustedProxies } from "../http/client-address.ts";
import { closeSocket, closingAnswer } from "../http/close-socket.ts";
import { type ProxySource, readProxyHeader } from "../http/proxy-header.ts";
import type { Certificates } from "./certificates.ts";
import type { Logger } from "./log.ts";

export interface FrontOptions {
  /** Those whose connections begin with a PROXY header; nobody's do when absent. */
  readonly proxies?: TrustedProxies | undefined;
  /** TLS is spoken when present. */
  readonly certificates?: Pick<Certificates, "default" | "contextFor"> | undefined;
  /** Connections at a time that are not as far as HTTP. For one more, the one that has been at it for longest goes. */
  readonly max: number;
  /** Gets connections over TLS on which HTTP/2 was agreed on; it is not offered when absent. */
  readonly http2?: ((socket: Socket) => void) | undefined;
  /** Longest time until a connection is as far as that, in milliseconds. Default 10 s. */
  readonly deadlineMs?: number | undefined;
  readonly log?: Pick<Logger, "warn"> | undefined;
}

const DEADLINE_MS = 10_000;
const SWEEP_MS = 500;
const SAY_EVERY_MS = 60_000;

/** The first byte of whatever begins a handshake. */
const HANDSHAKE = 0x16;
const PLAIN_HTTP = closingAnswer(400, "Bad Request", "this port speaks HTTPS; use https:// in the URL");

/** As ALPN names them. */
const HTTP2 = "h2";
const HTTP1 = "http/1.1";

/** What comes before HTTP on a connection: a proxy's word of where it is from, and TLS. */
export class Front {
  readonly #options: FrontOptions;
  readonly #serve: (socket: Socket) => void;
  /** Connections that are not as far as HTTP, and when they came; the oldest first. */
  readonly #waiting = new Map<Socket, number>();
  #sweep: NodeJS.Timeout | undefined;
  #saidAt = Number.NEGATIVE_INFINITY;

  /** @param serve gets each connection that is as far as HTTP, with what it has brought of that already */
  constructor(options: FrontOptions, serve: (socket: Socket) => void) {
    this.#options = options;
    this.#serve = serve;
  }

  /** Connections that are not as far as HTTP. */
  get size(): number {
    return this.#waiting.size;
  }

  /** For the event `connection` of a server of TCP or a Unix socket. */
  readonly onConnection = (socket: Socket): void => {
    if (this.#waiting.size >= this.#options.max) {
      const [oldest] = this.#waiting.keys();
      if (oldest) this.#drop(oldest);
    }
    this.#waiting.set(socket, performance.now());
    this.#sweep ??= setInterval(this.#look, SWEEP_MS).unref();
    socket.on("error", ignore);
    socket.on("end", left);
    socket.on("close", () => this.#waiting.delete(socket));
    const { proxies } = this.#options;
    if (proxies?.trusts(socket.remoteAddress)) this.#readProxy(socket);
    else this.#secure(socket, undefined);
  };

  /** Lets go of all that are not as far as HTTP. */
  close(): void {
    for (const socket of [...this.#waiting.keys()]) this.#drop(socket);
  }

  #readProxy(socket: Socket): void {
    readUntil(socket, (bytes) => {
      const header = readProxyHeader(bytes);
      if (header.kind === "unfinished") return undefined;
      if (header.kind === "wrong") {
        this.#say({ proxy: socket.remoteAddress, why: header.why }, "connection of a trusted proxy without its header");
        return { used: bytes.length, go: () => this.#drop(socket) };
      }
      if (header.source) pretend(socket, header.source);
      return { used: header.bytes, go: () => this.#secure(socket, header.source) };
    });
  }

  #secure(socket: Socket, source: ProxySource | undefined): void {
    const { certificates } = this.#options;
    if (!certificates) {
      this.#ready(socket, socket);
      return;
    }
    readUntil(socket, (bytes) => {
      if (bytes[0] === HANDSHAKE) return { used: 0, go: () => this.#shakeHands(socket, source, certificates) };
      // A method's first letter: most likely somebody has written http:// by habit.
      const isHttp = /^[A-Z]$/.test(String.fromCharCode(bytes[0] as number));
      return { used: bytes.length, go: () => closeSocket(socket, isHttp ? PLAIN_HTTP : undefined) };
    });
  }

  #shakeHands(
    socket: Socket,
    source: ProxySource | undefined,
    certificates: NonNullable<FrontOptions["certificates"]>,
  ): void {
    const secured = new TLSSocket(socket, {
      isServer: true,
      secureContext: certificates.default,
      SNICallback: (name, done) => done(null, certificates.contextFor(name)),
      ALPNProtocols: this.#options.http2 ? [HTTP2, HTTP1] : [HTTP1],
    });
    if (source) pretend(secured, source);
    const broken = () => {
      secured.destroy();
      socket.destroy();
    };
    secured.on("error", broken);
    // What is wrong with a later record is told so.
    secured.on("_tlsError", broken);
    secured.on("end", left);
    secured.on("close", () => socket.destroy());
    secured.once("secure", () => {
      // Node says so at its own servers only, and HTTP/2 would wait for it.
      Object.assign(secured, { secureConnecting: false });
      this.#ready(socket, secured);
    });
  }

  #ready(socket: Socket, served: Socket): void {
    if (!this.#waiting.delete(socket)) return;
    served.off("end", left);
    if ((served as Partial<TLSSocket>).alpnProtocol === HTTP2) this.#options.http2?.(served);
    else this.#serve(served);
    // It was held up for what it had brought already.
    if (served === socket) socket.resume();
  }

  #drop(socket: Socket): void {
    this.#waiting.delete(socket);
    socket.destroy();
  }

  readonly #look = (): void => {
    const since = performance.now() - (this.#options.deadlineMs ?? DEADLINE_MS);
    for (const [socket, cameAt] of this.#waiting) {
      if (cameAt > since) break;
      this.#drop(socket);
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  };

  #say(fields: object, message: string): void {
    const now = performance.now();
    if (now - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = now;
    this.#options.log?.warn(fields, message);
  }
}

function ignore(): void {}

function left(this: Socket): void {
  this.destroy();
}

/** The connection is that of `source` to all who ask it. */
function pretend(socket: Socket, { address, port }: ProxySource): void {
  Object.defineProperties(socket, {
    remoteAddress: { value: address },
    remotePort: { value: port },
  });
}

/**
 * Reads a connection until `decide` knows how to go on, and leaves what it has not used to the next reader.
 * @param decide gets all that has come; undefined waits for more
 */
function readUntil(
  socket: Socket,
  decide: (bytes: Buffer) => { readonly used: number; readonly go: () => void } | undefined,
): void {
  let gathered: Buffer | undefined;
  const onData = (piece: Buffer) => {
    gathered = gathered ? Buffer.concat([gathered, piece]) : piece;
    const decided = decide(gathered);
    if (!decided) return;
    socket.off("data", onData);
    socket.pause();
    if (gathered.length > decided.used) socket.unshift(gathered.subarray(decided.used));
    decided.go();
  };
  socket.on("data", onData);
  socket.resume();
}

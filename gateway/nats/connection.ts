import { hostname } from "node:os";
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  Events,
  type NatsConnection,
  NatsError,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "nats";
import { FaasError } from "../../contract/errors.ts";
import type { Logger } from "../../kit/log.ts";
import type { NatsCredentials } from "./credentials.ts";
import { Outbox, type Outgoing } from "./outbox.ts";

const API_TIMEOUT_MS = 5000;
const DIAL_TIMEOUT_MS = 2000;
const MIN_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 2000;

type ConnectionLog = Pick<Logger, "debug" | "info" | "warn" | "error">;

/** What JetStream's API refused. @see https://docs.nats.io/reference/reference-protocols/nats_api_reference */
export class JetStreamError extends Error {
  override readonly name = "JetStreamError";
  /** The server's `err_code`. */
  readonly code: number;
  /** In the manner of HTTP. */
  readonly status: number;
  constructor(code: number, status: number, description: string) {
    super(description);
    this.code = code;
    this.status = status;
  }
}

export const API_ERRORS = {
  consumerNotFound: 10014,
  messageNotFound: 10037,
  insufficientMemory: 10028,
  insufficientStorage: 10047,
  streamNotFound: 10059,
  streamNameInUse: 10058,
  wrongLastSequence: 10071,
  storeFailed: 10077,
  createFailed: 10049,
} as const;

export function isApiError(thrown: unknown, ...codes: readonly number[]): boolean {
  return thrown instanceof JetStreamError && codes.includes(thrown.code);
}

/** A connection that is made anew for ever once it has been made. */
export interface Link {
  readonly nc: NatsConnection;
  readonly connected: boolean;
  /** By the monotonic clock; undefined while connected. */
  readonly downSince: number | undefined;
  /**
   * Publishes, together with all else of this turn of the event loop. What cannot be sent as there is no connection then
   * is dropped.
   */
  send(message: Outgoing): void;
  /** Resolves when the server has got all that was sent. */
  flush(): Promise<void>;
  /** Largest message the server takes, headers included. */
  readonly maxPayload: number;
  /** @returns what takes the listener off again */
  onReconnect(listener: () => void): () => void;
  /**
   * Asks JetStream's API, whose subjects start with `$JS.API.`.
   * @throws {JetStreamError} what it refuses
   * @throws {FaasError} `unavailable` when there is no answer
   */
  api<T>(subject: string, request?: object, timeoutMs?: number): Promise<T>;
  close(): Promise<void>;
}

/**
 * @param noEcho leaves out what this connection itself publishes from what it subscribes to
 * @throws {Error} naming the servers and what is wrong, never a secret
 */
export async function openLink(
  { servers, log }: { readonly servers: readonly string[]; readonly log: ConnectionLog },
  credentials: NatsCredentials = {},
  { noEcho = false }: { readonly noEcho?: boolean } = {},
): Promise<Link> {
  const options: ConnectionOptions = {
    servers: servers.map(hostOf),
    name: `faaslane ${hostname()} ${process.pid}`,
    timeout: DIAL_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    // A login may be mended on the server while this process waits.
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => MIN_RECONNECT_MS + Math.random() * (MAX_RECONNECT_MS - MIN_RECONNECT_MS),
    pingInterval: 10_000,
    noAsyncTraces: true,
    noEcho,
    ...(servers.some((server) => server.startsWith("tls://")) && { tls: {} }),
    ...authenticatorOf(credentials),
  };
  let nc: NatsConnection;
  try {
    nc = await connect(options);
  } catch (cause) {
    throw new Error(`cannot connect to NATS at ${options.servers}: ${explain(cause)}`, { cause });
  }
  if (!nc.info?.jetstream) {
    await nc.close();
    throw new Error(`cannot use NATS at ${options.servers}: its JetStream is not enabled`);
  }
  const link = new NatsLink(nc, log);
  return link;
}

class NatsLink implements Link {
  readonly nc: NatsConnection;
  readonly #log: ConnectionLog;
  readonly #listeners = new Set<() => void>();
  readonly #outbox: Outbox;
  #downSince: number | undefined;

  constructor(nc: NatsConnection, log: ConnectionLog) {
    this.nc = nc;
    this.#log = log;
    this.#outbox = new Outbox(nc);
    this.#watch().catch((err: unknown) => log.error({ err }, "watching the connection to NATS failed"));
  }

  get connected(): boolean {
    return this.#downSince === undefined && !this.nc.isClosed();
  }

  get downSince(): number | undefined {
    return this.#downSince;
  }

  send(message: Outgoing): void {
    if (this.connected) this.#outbox.add(message);
  }

  async flush(): Promise<void> {
    this.#outbox.empty();
    await this.nc.flush();
  }

  get maxPayload(): number {
    return this.nc.info?.max_payload ?? 1024 ** 2;
  }

  onReconnect(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async api<T>(subject: string, request?: object, timeoutMs = API_TIMEOUT_MS): Promise<T> {
    const payload = request === undefined ? "" : JSON.stringify(request);
    let answer: { error?: { code: number; err_code: number; description: string } };
    try {
      const message = await this.nc.request(`$JS.API.${subject}`, payload, { timeout: timeoutMs });
      answer = message.json();
    } catch (cause) {
      throw new FaasError("unavailable", "NATS does not answer", { cause });
    }
    if (answer.error) throw new JetStreamError(answer.error.err_code, answer.error.code, answer.error.description);
    return answer as T;
  }

  async close(): Promise<void> {
    this.#outbox.empty();
    await this.nc.close();
  }

  async #watch(): Promise<void> {
    for await (const { type, data } of this.nc.status()) {
      if (type === Events.Disconnect) {
        if (this.#downSince === undefined) this.#log.warn({ server: data }, "lost the connection to NATS");
        this.#downSince ??= performance.now();
      } else if (type === Events.Reconnect) {
        this.#log.info({ server: data }, "connected to NATS again");
        this.#downSince = undefined;
        for (const listener of this.#listeners) listener();
      } else if (type === Events.Error) {
        this.#log.warn({ code: data }, "NATS reports an error");
      }
    }
  }
}

/** A secret in a URL would end up in logs; it belongs into a file. */
function hostOf(server: string): string {
  return server.replace(/^(?:\w+:\/\/)?(?:[^@/]*@)?/, "");
}

function authenticatorOf(given: NatsCredentials): Pick<ConnectionOptions, "authenticator"> {
  if (!given.renew) return fixedAuthenticator(given) ?? {};
  const { renew } = given;
  // Each login, after a lost connection too, is with what holds by then.
  return { authenticator: (nonce) => fixedAuthenticator(renew())?.authenticator(nonce) };
}

function fixedAuthenticator({ user, password, token, creds }: Omit<NatsCredentials, "renew">) {
  if (creds) return { authenticator: credsAuthenticator(creds) };
  if (token !== undefined) return { authenticator: tokenAuthenticator(token) };
  if (user !== undefined) return { authenticator: usernamePasswordAuthenticator(user, password ?? "") };
  return undefined;
}

function explain(thrown: unknown): string {
  if (thrown instanceof NatsError) {
    if (thrown.isAuthError()) return "it refuses the credentials";
    if (thrown.code === "TIMEOUT") return "no answer in time";
    return thrown.code === "CONNECTION_REFUSED" ? "connection refused" : thrown.code;
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}

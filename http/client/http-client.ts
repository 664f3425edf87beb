import type { OtherConnections } from "../other-connections.ts";
import { type AnswerHandler, ClientCall } from "./client-call.ts";
import { ClientConnection, type ConnectionKeeper, type ConnectionOptions } from "./client-connection.ts";
import { buildRequestHead, type WholeRequest } from "./request-head.ts";

export interface HttpClientOptions {
  /** `host:port` */
  readonly address: string;
  readonly connectTimeoutMs: number;
  /** Bytes that all headers of an answer may have. */
  readonly maxHeadBytes: number;
  /** Counts its connections; nobody does when absent. */
  readonly others?: OtherConnections | undefined;
}

/** How exactly waits are kept: by one timer for all, as they are long and nearly all of them end early. */
const LOOK_EVERY_MS = 100;

/**
 * HTTP/1.1 to one server, for requests whose body is there and whose answer is no other protocol. Connections are kept,
 * and the one that was used last is used next, so that no more are warm than are needed. A request is sent at most once:
 * it may be given to another server when its handler has not been told that it started, and only then.
 */
export class HttpClient implements ConnectionKeeper {
  readonly #options: ConnectionOptions;
  readonly #host: string;
  readonly #all = new Set<ClientConnection>();
  /** The one that was used last at the end. */
  readonly #idle: ClientConnection[] = [];
  /** Calls that have no connection yet. */
  readonly #waiting: ClientCall[] = [];
  #connecting = 0;
  #scheduled = false;
  #closing = false;
  readonly #closed = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ address, connectTimeoutMs, maxHeadBytes, others }: HttpClientOptions) {
    const { hostname, port } = new URL(`http://${address}`);
    this.#options = {
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || 80),
      connectTimeoutMs,
      maxHeadBytes,
      others,
    };
    this.#host = address;
  }

  /** @param timeoutMs longest wait for the head of the answer, and between two pieces of its body; 0 for no limit */
  send(request: WholeRequest, timeoutMs: number, handler: AnswerHandler): void {
    let head: string;
    try {
      if (this.#closing) throw closedError();
      head = buildRequestHead(request, this.#host);
    } catch (error) {
      handler.onResponseError(undefined, error as Error);
      return;
    }
    this.#waiting.push(new ClientCall(request, head, handler, timeoutMs));
    this.#schedule();
  }

  /** Not before all that has come is looked at: an idle connection may be closed already, or have said too much. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#sendWaiting);
  }

  readonly #sendWaiting = (): void => {
    this.#scheduled = false;
    while (this.#waiting.length > 0) {
      const connection = this.#idle.pop();
      if (!connection) break;
      connection.carry(this.#waiting.shift() as ClientCall);
    }
    while (this.#connecting < this.#waiting.length) this.#open();
  };

  #open(): void {
    this.#connecting++;
    this.#all.add(new ClientConnection(this.#options, this));
    this.#timer ??= setInterval(this.#look, LOOK_EVERY_MS).unref();
  }

  readonly #look = (): void => {
    const now = performance.now();
    for (const connection of this.#all) connection.look(now);
  };

  connected(connection: ClientConnection): void {
    this.#connecting--;
    this.freed(connection);
  }

  freed(connection: ClientConnection): void {
    this.#idle.push(connection);
    if (this.#waiting.length > 0) this.#schedule();
    else if (this.#closing) connection.destroy(closedError());
  }

  gone(connection: ClientConnection, failure: Error | undefined): void {
    this.#all.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (failure) {
      this.#connecting--;
      // It was opened for a call which may have found another one since.
      if (this.#waiting.length > this.#connecting) this.#waiting.shift()?.fail(failure);
    }
    this.#settle();
  }

  #settle(): void {
    if (this.#all.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#closing && this.#waiting.length === 0) this.#closed.resolve();
  }

  /** Takes no more calls, lets those under way finish, and closes the connections. May be called twice. */
  close(): Promise<void> {
    this.#closing = true;
    if (this.#waiting.length === 0) for (const connection of [...this.#idle]) connection.destroy(closedError());
    this.#settle();
    return this.#closed.promise;
  }

  /** Cuts whatever is under way. */
  destroy(): Promise<void> {
    this.#closing = true;
    for (const call of this.#waiting.splice(0)) call.fail(closedError());
    for (const connection of [...this.#all]) connection.destroy(closedError());
    return this.close();
  }
}

function closedError(): Error {
  return Object.assign(new Error("the client is closed"), { code: "CLIENT_CLOSED" });
}

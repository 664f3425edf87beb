import { type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { INTERNAL_HEADER, withoutMark } from "../http/platform-mark.ts";
import type { DeadlineList, Expiring } from "./deadlines.ts";
import { postponeClosing } from "./discard-rest.ts";

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

/**
 * A response that carries what the watchdog must remember of its call, so that the hot path needs no closures and no side
 * table.
 */
export class TrackedResponse extends ServerResponse<IncomingMessage> implements Expiring {
  /** When the request's headers were complete, on the clock of `performance.now()`. */
  startedAt = 0;
  /** Parties that have not finished: the connection, and a process that may outlive it. */
  #openEnds = 1;
  /** Called once when all of them have. */
  onSettled: ((exchange: TrackedResponse) => void) | null = null;
  /** What happens when the time is up; set by the mode. */
  onExpire: ((exchange: TrackedResponse) => void) | null = null;
  /** What happens when the time is up, the answer is complete, and the caller has not yet taken all of it. */
  onUnsent: ((exchange: TrackedResponse) => void) | null = null;
  /** The call to the function's own server, if it has one. */
  upstream: { timeOut(): void; callerLeft(): void } | null = null;
  /** Called once when the connection is done with it, the answer complete or not. */
  onClosed: ((exchange: TrackedResponse) => void) | null = null;
  /** Gets an error of the answer that nobody else listens to; without it that is an uncaught exception, as ever. */
  onUnheard: ((error: Error) => void) | null = null;
  /** The function itself writes this answer, and cannot speak for the platform in it. */
  byFunction = false;
  expiresAt = 0;
  earlier: Expiring | null = null;
  later: Expiring | null = null;
  waitsIn: DeadlineList | null = null;

  expire(): void {
    this.onExpire?.(this);
    if (this.writableEnded && !this.writableFinished && this.waitsIn === null) this.onUnsent?.(this);
  }

  /** Events that concern the watchdog are taken here, without a listener for each. */
  override emit(event: string | symbol, first?: unknown, second?: unknown): boolean {
    if (event === "close") {
      this.upstream?.callerLeft();
      this.onClosed?.(this);
    } else if (event === "error" && this.onUnheard !== null && this.listenerCount("error") === 0) {
      this.onUnheard(first as Error);
      return true;
    }
    return super.emit(event, first, second);
  }

  override writeHead(status: number, reason?: string | Headers, headers?: Headers): this {
    if (!this.byFunction) return super.writeHead(status, reason as string, headers);
    this.removeHeader(INTERNAL_HEADER);
    return typeof reason === "string" || headers !== undefined
      ? super.writeHead(status, reason as string, withoutMark(headers))
      : super.writeHead(status, withoutMark(reason as Headers | undefined));
  }

  override detachSocket(socket: Socket): void {
    super.detachSocket(socket);
    if (!this.req.complete) postponeClosing(socket);
  }

  override addTrailers(trailers: OutgoingHttpHeaders | readonly [string, string][]): void {
    super.addTrailers(this.byFunction ? (withoutMark(trailers as OutgoingHttpHeaders) ?? {}) : trailers);
  }

  /** Makes an answer that the function had begun, but not sent, the watchdog's own. */
  takeOver(): void {
    this.byFunction = false;
    this.statusMessage = ""; // what was refused as a reason would be refused again
    for (const name of this.getHeaderNames()) this.removeHeader(name);
  }

  /** Keeps the call counted as under way until a matching `release`, even if its connection closes before. */
  hold(): void {
    this.#openEnds++;
  }

  release(): void {
    if (--this.#openEnds === 0) this.onSettled?.(this);
  }

  /** As its head says; -1 when it does not. */
  get contentLength(): number {
    // Headers given to `writeHead` are not kept anywhere else.
    const head = (this as unknown as { readonly _header: string | null })._header ?? "";
    return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? -1);
  }

  /** Seconds since the request arrived, as OpenFaaS prints them. */
  durationSeconds(): string {
    return ((performance.now() - this.startedAt) / 1000).toFixed(6);
  }
}

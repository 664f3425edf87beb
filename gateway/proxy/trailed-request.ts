import type { ClientRequest, IncomingMessage } from "node:http";
import type { Dispatcher } from "undici";
import { MAX_FORWARDED_HEAD_BYTES } from "../../http/forwarding.ts";
import { request } from "../../kit/http.ts";
import type { AwaitedBody } from "./awaited-body.ts";

export interface TrailedRequest {
  /** `host:port` */
  readonly address: string;
  readonly method: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: AwaitedBody;
  /** Longest wait for the head of the answer, and between two pieces of it. */
  readonly timeoutMs: number;
}

/**
 * Sends a request whose body is followed by trailers, which undici cannot, over a connection of its own. `handler` is
 * told of it as undici would.
 */
export function dispatchTrailed(trailed: TrailedRequest, handler: Dispatcher.DispatchHandler): void {
  const { address, method, path, headers, body, timeoutMs } = trailed;
  const { hostname, port } = new URL(`http://${address}`);
  const call = request({
    agent: false,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port || 80,
    method,
    path,
    headers: ["Host", address, ...headers, "Transfer-Encoding", "chunked", "Trailer", body.announced as string],
    maxHeaderSize: MAX_FORWARDED_HEAD_BYTES,
    timeout: timeoutMs,
  });
  call.maxHeadersCount = 0;
  const control = new Control(call);
  let begun = false;
  let over = false;
  const fail = (error: Error) => {
    if (over) return;
    over = true;
    call.destroy();
    handler.onResponseError?.((begun ? control : undefined) as Dispatcher.DispatchController, control.reason ?? error);
  };
  call.on("error", fail);
  call.on("timeout", () => fail(Object.assign(new Error("no answer in time"), { code: "UND_ERR_HEADERS_TIMEOUT" })));
  call.on("socket", (socket) => {
    // Only then has the replica been reached; before, another one may have the body still.
    socket.once("connect", () => {
      begun = true;
      handler.onRequestStart?.(control as Dispatcher.DispatchController, undefined);
      if (over) return;
      body.pipe(call, { end: false });
      body.once("end", () => {
        addTrailers(call, body.trailers);
        call.end();
      });
    });
  });
  const started = (status: number, fields: NodeJS.Dict<string | string[]>, reason?: string) =>
    handler.onResponseStart?.(control as Dispatcher.DispatchController, status, fields as never, reason);
  call.on("information", ({ statusCode, headers: fields }) => {
    if (!over) started(statusCode, fields);
  });
  call.on("response", (answer) => {
    control.answer = answer;
    started(answer.statusCode as number, answer.headers, answer.statusMessage);
    answer.on("data", (piece: Buffer) => handler.onResponseData?.(control as Dispatcher.DispatchController, piece));
    answer.on("error", fail);
    answer.on("end", () => {
      if (over) return;
      over = true;
      body.unpipe(call);
      if (!call.writableFinished) call.destroy();
      handler.onResponseEnd?.(control as Dispatcher.DispatchController, answer.trailers as never);
    });
  });
}

function addTrailers(call: ClientRequest, trailers: [name: string, value: string][]): void {
  try {
    call.addTrailers(trailers);
  } catch {
    // A character that no header may hold. The body, which is what matters, is whole.
  }
}

class Control {
  readonly #call: ClientRequest;
  answer: IncomingMessage | undefined;
  reason: Error | null = null;

  constructor(call: ClientRequest) {
    this.#call = call;
  }

  get aborted(): boolean {
    return this.reason !== null;
  }

  get paused(): boolean {
    return this.answer?.isPaused() ?? false;
  }

  pause(): void {
    this.answer?.pause();
  }

  resume(): void {
    this.answer?.resume();
  }

  abort(reason: Error): void {
    this.reason ??= reason;
    this.#call.destroy(reason);
  }
}

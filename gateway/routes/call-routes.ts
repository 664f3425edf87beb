import type { IncomingMessage, ServerResponse } from "node:http";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import { FaasError, toFaasError, withCode } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import { keepSessionApart, mentionsSession } from "../../contract/ui/session-cookie.ts";
import { isHopByHop } from "../../http/forwarding.ts";
import { answerError } from "../../kit/answer-error.ts";
import type { Logger } from "../../kit/log.ts";
import { clientGone } from "../../kit/ndjson.ts";
import { type CallPath, parseCallPath } from "../core/call-path.ts";
import { readCallQuery } from "../core/call-query.ts";
import { stampOf } from "../core/traffic/stamp.ts";
import type { CallStatus, Outcome, Queue } from "../queue/queue.ts";
import { ASYNC_PREFIX } from "./async-intake.ts";
import { CallWaits, hasEnded } from "./call-waits.ts";
import { inTime } from "./in-time.ts";
import { buildCallReport } from "./reports.ts";

/** The call's state, on every answer about it: a result has the status and headers of its function. */
export const STATE_HEADER = "x-call-state";

export interface CallRoutesOptions {
  readonly queue: Pick<Queue, "find" | "result" | "cancel" | "request">;
  /** Whether a function has several versions, so that it is worth telling which one a call is of; none has when absent. */
  readonly hasVersions?: (ref: FunctionRef) => boolean;
  /** Whether a request carries the credentials of the platform. */
  readonly isAuthorized: (req: IncomingMessage) => boolean;
  /** Callers that may wait at a time. Default 1,000. */
  readonly maxWaits?: number;
  /** Longest wait for the queue. Default 5 s. */
  readonly queueTimeoutMs?: number;
  readonly log: Pick<Logger, "error">;
}

/**
 * `GET` and `DELETE /async-function/<call-id>`, and `GET …/result`. Who asks by the queue's own id needs no
 * credentials: it cannot be guessed. A call id that a caller has chosen can be.
 */
export class CallRoutes {
  readonly #options: CallRoutesOptions;
  readonly #waits: CallWaits;
  readonly #timeoutMs: number;

  constructor(options: CallRoutesOptions) {
    this.#options = options;
    this.#waits = new CallWaits(options.maxWaits ?? 1_000);
    this.#timeoutMs = options.queueTimeoutMs ?? 5_000;
  }

  /** Answers a request, whose URL starts with {@link ASYNC_PREFIX}, of any method but `POST`. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = parseCallPath(req.url as string, ASYNC_PREFIX);
    const isRead = req.method === "GET" || req.method === "HEAD";
    if (!isRead && !(req.method === "DELETE" && path && !path.result)) {
      const allow = path?.result ? "GET, HEAD" : "GET, HEAD, POST, DELETE";
      res.writeHead(405, { allow, [ERROR_HEADER]: "method_not_allowed", "content-length": "0" }).end();
      return;
    }
    await this.#answer(path, req, res, isRead);
  }

  /** Those who wait are answered at once. */
  close(): void {
    this.#waits.close();
  }

  async #answer(path: CallPath | undefined, req: IncomingMessage, res: ServerResponse, isRead: boolean): Promise<void> {
    try {
      if (!path) throw unknownCall("");
      if (isRead) await this.#read(path, req, res);
      else await this.#cancel(path.id, req, res);
    } catch (thrown) {
      if (res.destroyed) return;
      const error = toFaasError(thrown);
      if (error.kind === "internal") this.#options.log.error({ err: error.cause }, "call lookup failed");
      const login = error.kind === "unauthorized" ? { "www-authenticate": 'Basic realm="Restricted"' } : {};
      answerError(res, withCode(error, "queue_unavailable", "unavailable"), login);
    }
  }

  async #read({ id, result, query }: CallPath, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const asked = readCallQuery(query);
    const status = await this.#waits.untilFinal(() => this.#find(id, req), asked.waitMs, clientGone(res));
    if (!status) throw unknownCall(id);
    if (!(result || asked.result)) answerStatus(res, 200, status, await this.#versionOf(status));
    // Not to be taken for the function's own 202: that one has the state `done`.
    else if (!hasEnded(status)) answerStatus(res, 202, status, await this.#versionOf(status));
    else await this.#answerResult(status, req, res);
  }

  /** Which version has answered, or else the one that the call is for; undefined when that is not written down. */
  async #versionOf(status: CallStatus): Promise<string | undefined> {
    const { queue, hasVersions } = this.#options;
    if (!hasVersions?.({ name: status.function, namespace: status.namespace })) return undefined;
    const { id } = status;
    const read = async () =>
      hasEnded(status) ? (await queue.result(id))?.result?.headers : (await queue.request(id, 0))?.headers;
    const headers = await inTime(read(), this.#timeoutMs);
    return headers && stampOf({ headers });
  }

  async #answerResult(status: CallStatus, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const outcome = await inTime(this.#options.queue.result(status.id), this.#timeoutMs);
    if (!outcome?.result)
      throw new FaasError("notFound", `the call is ${status.state}; no result of it is kept`, { code: "no_result" });
    const headers = resultHeaders(outcome, status);
    keepSessionApart(headers, mentionsSession(req.headers.cookie));
    res.writeHead(outcome.status, headers);
    res.end(headers["content-length"] === undefined ? undefined : outcome.result.body);
  }

  async #cancel(asked: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const status = await this.#find(asked, req);
    const before = status && (await inTime(this.#options.queue.cancel(status.id), this.#timeoutMs));
    if (!before) throw unknownCall(asked);
    res.writeHead(202, { "content-length": "0", "x-call-id": status.callId }).end();
  }

  /** @throws {FaasError} `unauthorized` when it takes credentials to ask for the call by that id */
  async #find(asked: string, req: IncomingMessage): Promise<CallStatus | undefined> {
    const { queue, isAuthorized } = this.#options;
    const status = await inTime(queue.find(asked), this.#timeoutMs);
    if (status && status.id !== asked && !isAuthorized(req)) {
      throw new FaasError("unauthorized", "invalid credentials; a call id chosen by a caller needs them");
    }
    return status;
  }
}

function unknownCall(id: string): FaasError {
  return new FaasError("notFound", id === "" ? "no such call" : `no call ${JSON.stringify(id)} is known`, {
    code: "unknown_call",
  });
}

function answerStatus(res: ServerResponse, code: number, status: CallStatus, version: string | undefined): void {
  const report = buildCallReport(status);
  const body = Buffer.from(JSON.stringify(version === undefined ? report : { ...report, version }));
  res.writeHead(code, {
    "content-type": "application/json",
    "content-length": body.length,
    "cache-control": "no-store",
    [STATE_HEADER]: status.state,
    ...(code === 202 && { "retry-after": "1" }),
  });
  res.end(body);
}

/** Framing is the answer's own; so are the headers that say which call it is of. */
const NOT_KEPT: ReadonlySet<string> = new Set(["content-length", "x-call-id", STATE_HEADER]);

function resultHeaders({ status: code, result }: Outcome, { callId, state }: CallStatus) {
  // Functions choose the names: in an object, some of them would stand for something else.
  const headers = new Map<string, string | string[]>([
    ["x-call-id", callId],
    [STATE_HEADER, state],
  ]);
  for (const [name, value] of result?.headers ?? []) {
    const lower = name.toLowerCase();
    if (isHopByHop(lower) || NOT_KEPT.has(lower)) continue;
    const before = headers.get(lower);
    headers.set(lower, before === undefined ? value : [before, value].flat());
  }
  // RFC 9110 §8.6: these two have no body, and the first no length either.
  if (code !== 204 && code !== 304) headers.set("content-length", String(result?.body.length ?? 0));
  return Object.fromEntries(headers);
}

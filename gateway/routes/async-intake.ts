import type { IncomingMessage, ServerResponse } from "node:http";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import { type FaasError, toFaasError, withCode } from "../../contract/errors.ts";
import { answerError } from "../../kit/answer-error.ts";
import type { Logger } from "../../kit/log.ts";
import type { CallbackTargets } from "../../kit/outbound/targets.ts";
import { Slices } from "../../kit/slices.ts";
import { type AsyncRequest, QUEUE_HEADERS, readAsyncRequest } from "../async/intake/async-request.ts";
import { type BatchHead, checkBatch, checkCopies } from "../async/intake/batch.ts";
import { readQueueName } from "../async/intake/queue-name.ts";
import type { VersionHolds } from "../async/intake/version-holds.ts";
import { parseFunctionPath } from "../core/function-path.ts";
import { PathPrefix } from "../core/path-prefix.ts";
import { BodyDigest, fingerprintRequest } from "../core/request-fingerprint.ts";
import { stamped } from "../core/traffic/stamp.ts";
import { PolicyGate } from "../policies/policy-gate.ts";
import { BodyReader } from "../proxy/body-reader.ts";
import { FunctionEntry } from "../proxy/function-entry.ts";
import { answerNoFunction, type FunctionProxy } from "../proxy/function-proxy.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import { answerPreflight } from "../proxy/guarded-calls.ts";
import { buildUpstreamHeaders, type CallHeaders } from "../proxy/headers.ts";
import { writeAnswer } from "../proxy/http-exchange.ts";
import { IGNORED_HEADER, VERSION_HEADER } from "../proxy/version-split.ts";
import { DEFAULT_QUEUE, type NewCall, type Queue, type Receipt } from "../queue/queue.ts";
import type { CallObserver, ObservedCall } from "../telemetry/call-record.ts";
import { observeIntake } from "../telemetry/observe-intake.ts";
import { AsyncGuard, refusalHeaders } from "./async-guard.ts";
import { inTime } from "./in-time.ts";

export const ASYNC_PREFIX = "/async-function/";

/** Set to `true` when a call was known already by its idempotency key. */
export const DUPLICATE_HEADER = "x-faaslane-duplicate";

const MAX_BATCH_LINES = 10_000;

export interface AsyncIntakeOptions {
  readonly queue: Pick<Queue, "publish" | "maxBodyBytes">;
  readonly table: Pick<FunctionTable, "find">;
  readonly proxy: Pick<FunctionProxy, "newCallHeaders" | "findLate" | "responseHeaders" | "chooseLater">;
  /** Has versions kept for calls; nobody does when absent. */
  readonly holds?: Pick<VersionHolds, "want">;
  /** Where callbacks may go. */
  readonly targets: Pick<CallbackTargets, "checkUrl">;
  /** Sees to the policies of functions. */
  readonly gate?: PolicyGate;
  /** What callers put before our paths; whatever their proxies say when absent. */
  readonly pathPrefix?: PathPrefix;
  /** Told of all calls that come; absent where nobody wants to know. */
  readonly observer?: CallObserver | undefined;
  /** Bytes of bodies in memory, over all calls that are being accepted. Default 256 MiB. */
  readonly maxBufferedBytes?: number;
  /** Longest wait for the queue. Default 15 s. */
  readonly queueTimeoutMs?: number;
  readonly log: Pick<Logger, "warn" | "error">;
}

interface Accepted {
  readonly req: IncomingMessage;
  readonly record: ObservedCall | undefined;
  /** Which the call is for; undefined for the one that has the calls when it is made. */
  readonly version: string | undefined;
}

/** `POST /async-function/NAME` → 202 once the call is durable. */
export class AsyncIntake {
  readonly #options: AsyncIntakeOptions;
  readonly #bodies: BodyReader;
  readonly #pathPrefix: PathPrefix;
  readonly #gate: PolicyGate;
  /** For batches. */
  readonly #slices = new Slices();
  /** By the annotations as the provider sent them, so that each is read, and a bad one logged, once. */
  readonly #queues = new WeakMap<object, string>();

  constructor(options: AsyncIntakeOptions) {
    this.#options = options;
    this.#pathPrefix = options.pathPrefix ?? new PathPrefix();
    this.#gate = options.gate ?? new PolicyGate();
    this.#bodies = new BodyReader({
      limitBytes: options.queue.maxBodyBytes,
      totalBytes: options.maxBufferedBytes ?? 256 * 1024 ** 2,
    });
  }

  /** Answers a `POST` whose URL starts with {@link ASYNC_PREFIX}. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const record = this.#observe(req, res);
    const path = parseFunctionPath(req.url as string, ASYNC_PREFIX);
    if (path.kind === "function") await this.#answer(req, res, path, this.#options.proxy.newCallHeaders(req), record);
    else answerNoFunction(res, path, this.#pathPrefix);
  }

  #observe(req: IncomingMessage, res: ServerResponse): ObservedCall | undefined {
    const { observer } = this.#options;
    if (!observer?.watching) return undefined;
    return observeIntake(observer, "intake", req, res);
  }

  /**
   * Answers a page that asks whether it may `POST`, for a function whose policy says so.
   * @returns whether it did
   */
  answerPreflight(req: IncomingMessage, res: ServerResponse): boolean {
    const path = parseFunctionPath(req.url as string, ASYNC_PREFIX);
    const policy = path.kind === "function" ? this.#options.table.find(path.target)?.policy : undefined;
    const { proxy } = this.#options;
    const answer = policy && answerPreflight(policy, req, proxy.responseHeaders(proxy.newCallHeaders(req)));
    if (answer) writeAnswer(res, answer);
    return answer !== undefined;
  }

  async #answer(
    req: IncomingMessage,
    res: ServerResponse,
    { target, url }: { readonly target: string; readonly url: string },
    headers: CallHeaders,
    record: ObservedCall | undefined,
  ): Promise<void> {
    const { table, proxy, log } = this.#options;
    if (record) record.callId = headers.callId;
    const found = table.find(target) ?? (await proxy.findLate(target, headers));
    if (!(found instanceof FunctionEntry)) {
      if (record) record.errorCode = found.headers[ERROR_HEADER];
      writeAnswer(res, found);
      return;
    }
    const entry = found.function;
    const { version, ignored } = proxy.chooseLater(found, target, url, req.headers);
    if (record) record.functionName = entry.qualifiedName;
    const ours = proxy.responseHeaders(headers);
    const { policy } = entry;
    const guard = policy && new AsyncGuard(this.#gate, policy, entry, req);
    try {
      await guard?.enter();
      const receipt = await this.#accept({ req, record, version }, entry, url, headers, guard);
      if (record) record.callId = receipt.callId;
      // Where its status can be had without credentials, whatever call id the caller has chosen.
      const status = this.#pathPrefix.locate(`${ASYNC_PREFIX}${encodeURIComponent(receipt.id)}`, req.headers);
      res
        .writeHead(202, {
          ...ours,
          ...guard?.headers,
          ...receiptHeaders(receipt),
          ...status,
          "content-length": "0",
          ...(version !== undefined && { [VERSION_HEADER]: version }),
          ...(ignored !== undefined && { [IGNORED_HEADER]: ignored }),
        })
        .end();
    } catch (thrown) {
      if (req.destroyed && !req.complete) return; // the caller left while sending; nothing was accepted
      const error = queueError(toFaasError(thrown));
      if (record) record.errorCode = error.code;
      if (error.kind === "internal") log.error({ err: error.cause, function: entry.qualifiedName }, "queueing failed");
      answerError(res, error, { ...ours, ...guard?.headers }, refusalHeaders(error));
    }
  }

  async #accept(
    { req, record, version }: Accepted,
    entry: FunctionEntry,
    url: string,
    headers: CallHeaders,
    guard: AsyncGuard | undefined,
  ): Promise<Receipt> {
    const { queue, targets, observer, holds, queueTimeoutMs = 15_000 } = this.#options;
    const queryAt = url.indexOf("?");
    const acceptedAt = Date.now();
    const asked = readAsyncRequest(req.headers, queryAt < 0 ? "" : url.slice(queryAt + 1), acceptedAt);
    if (asked.callbackUrl !== undefined) targets.checkUrl(asked.callbackUrl);
    const traced = (flat: string[]) => (record && observer ? observer.upstreamHeaders(record, flat) : flat);
    const unchecked: Omit<NewCall, "body"> = {
      ...forQueue(asked),
      queue: this.#queueOf(entry),
      function: entry.name,
      namespace: entry.namespace,
      method: "POST",
      path: queryAt < 0 ? url : url.slice(0, queryAt),
      headers: stamped(forFunction(traced(buildUpstreamHeaders(req, headers))), version),
      acceptedAt,
    };
    // What a key stands for; nobody waits for a large body to be read once more for it.
    const wanted = version === undefined ? undefined : () => holds?.want(entry, version, asked.notBefore ?? acceptedAt);
    const digest = asked.idempotencyKey === undefined ? undefined : new BodyDigest();
    const use = async (body: Buffer) => {
      if (record) record.bytesIn = body.length;
      await guard?.check(body);
      const head = guard ? { ...unchecked, headers: guard.tell(unchecked.headers) } : unchecked;
      const batch = asked.batch ? { batch: { kind: "whole" as const, size: await this.#batchSize(head, body) } } : {};
      const keyed = guard ? { ...head, headers: guard.senderOf(unchecked.headers) } : head;
      const fingerprint = digest && { requestPrint: fingerprintRequest({ ...keyed, ...batch }, digest.finish()) };
      await wanted?.();
      return await inTime(queue.publish({ ...head, ...batch, ...fingerprint, body }), queueTimeoutMs);
    };
    return await this.#bodies.with(req, use, digest && ((piece) => digest.add(piece)), guard?.mostBytes);
  }

  async #batchSize(head: BatchHead, body: Buffer): Promise<number> {
    const limits = { maxLines: MAX_BATCH_LINES, maxLineBytes: this.#options.queue.maxBodyBytes };
    const size = await this.#slices.run(checkBatch(body, limits));
    checkCopies(head, size);
    return size;
  }

  #queueOf({ snapshot: { annotations }, qualifiedName }: FunctionEntry): string {
    const known = this.#queues.get(annotations);
    if (known !== undefined) return known;
    const { queue, problem } = readQueueName(annotations, DEFAULT_QUEUE);
    if (problem !== undefined)
      this.#options.log.warn({ function: qualifiedName, problem }, "invalid queue name; using the default");
    this.#queues.set(annotations, queue);
    return queue;
  }
}

function forQueue({ batch: _batch, ...asked }: AsyncRequest) {
  return asked;
}

/** `X-Call-Id` is added when the call is made: it may be the queue's choice. */
function forFunction(flat: readonly string[]): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] as string;
    if (!QUEUE_HEADERS.has(name.toLowerCase())) pairs.push([name, flat[i + 1] as string]);
  }
  return pairs;
}

function receiptHeaders({ callId, duplicate }: Receipt): Record<string, string> {
  return {
    "x-call-id": callId,
    ...(duplicate && { [DUPLICATE_HEADER]: "true" }),
  };
}

/** What the queue refuses without saying why. */
function queueError(error: FaasError): FaasError {
  return withCode(withCode(error, "queue_full", "overloaded"), "queue_unavailable", "unavailable");
}

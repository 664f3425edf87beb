import { Readable } from "node:stream";
import { Agent, request } from "undici";
import { parseRetryAfter } from "../../../http/retry-after.ts";
import { guardedConnector, type Lookup, TargetRefused } from "../../../kit/outbound/connector.ts";
import type { CallbackTargets } from "../../../kit/outbound/targets.ts";
import { sleep } from "../../../kit/sleep.ts";
import { splitCallbackUrl } from "../../core/callback-url.ts";
import { fullJitterBackoff } from "../../core/retry-policy.ts";
import { Deadline } from "../deadline.ts";
import { type CallbackSigner, SIGNATURE_HEADER, type Signing } from "./signer.ts";

export interface CallbackRetry {
  /** Tries in all. */
  readonly tries: number;
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
  /** No further try starts this long after the first. */
  readonly deadlineMs: number;
}

export interface CallbackSenderOptions {
  /** Of one try; of one that sends a stream, between two pieces of it. */
  readonly timeoutMs: number;
  readonly retry: CallbackRetry;
  readonly targets: CallbackTargets;
  /** Absent when callbacks are not signed. */
  readonly signer?: CallbackSigner | undefined;
  /** Default: the system's. */
  readonly lookup?: Lookup | undefined;
  readonly now: () => number;
  readonly random: () => number;
}

/** A callback before it has its credentials, signature and framing. */
export interface CallbackMessage {
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: CallbackBody;
}

export interface CallbackBody {
  /** Absent when it is not known beforehand. */
  readonly bytes?: number;
  /** Called for each try, and before that for its signature. */
  body(): Buffer | Readable;
}

/** `reason` holds no part of the URL: that may carry secrets. */
export type CallbackOutcome =
  | { readonly kind: "delivered"; readonly tries: number; readonly status: number }
  /** `again`: another time it may go better. */
  | { readonly kind: "failed"; readonly tries: number; readonly reason: string; readonly again: boolean }
  /** The target is not allowed; nothing was sent. */
  | { readonly kind: "refused"; readonly tries: number; readonly reason: string };

/** What comes of one try. */
export type CallbackTry =
  | CallbackOutcome
  /** Another try follows. */
  | { readonly kind: "again"; readonly tries: number; readonly reason: string; readonly afterMs: number };

/** Tries before this one. */
export interface TriesSoFar {
  readonly tries: number;
  /** Milliseconds since the first one began. */
  elapsedMs(): number;
}

type Try =
  | { readonly kind: "delivered"; readonly status: number }
  | { readonly kind: "failed"; readonly reason: string; readonly again: boolean; readonly retryAfter?: string }
  | { readonly kind: "refused"; readonly reason: string };

const MAX_ANSWER_BYTES = 64 * 1024;
/** A try that sends a stream takes no longer than so many timeouts, however slowly its receiver reads. */
const LONGEST_STREAM_TIMEOUTS = 20;

/** Posts results to callback URLs. A callback is tried several times by itself; the function never runs again for it. */
export class CallbackSender {
  readonly #options: CallbackSenderOptions;
  readonly #agent: Agent;

  constructor(options: CallbackSenderOptions) {
    this.#options = options;
    const { timeoutMs, targets, lookup } = options;
    const connect = guardedConnector(targets, timeoutMs, lookup);
    // Redirects are answers like others: who allows a target has not allowed where that points to.
    this.#agent = new Agent({ connect, headersTimeout: 0, bodyTimeout: 0 });
  }

  /** All tries, one after the other. @throws the reason of `signal` when that aborts */
  async send(callbackUrl: string, message: CallbackMessage, signal: AbortSignal): Promise<CallbackOutcome> {
    const startedAt = performance.now();
    const elapsedMs = () => performance.now() - startedAt;
    for (let tries = 0; ; tries++) {
      const outcome = await this.tryOnce(callbackUrl, message, { tries, elapsedMs }, signal);
      if (outcome.kind !== "again") return outcome;
      await sleep(outcome.afterMs, signal);
      signal.throwIfAborted();
    }
  }

  /** @throws the reason of `signal` when that aborts */
  async tryOnce(
    callbackUrl: string,
    message: CallbackMessage,
    before: TriesSoFar,
    signal: AbortSignal,
  ): Promise<CallbackTry> {
    const { retry, now, random } = this.#options;
    let target: ReturnType<typeof splitCallbackUrl>;
    try {
      target = splitCallbackUrl(callbackUrl);
    } catch (error) {
      return { kind: "failed", tries: before.tries, reason: (error as Error).message, again: false };
    }
    const outcome = await this.#try(target, message, signal);
    const tries = before.tries + 1;
    if (outcome.kind !== "failed") return { ...outcome, tries };
    const { reason, again, retryAfter } = outcome;
    const waitMs = Math.max(
      fullJitterBackoff(tries, retry.minWaitMs, retry.maxWaitMs, random()),
      Math.min(retry.maxWaitMs, parseRetryAfter(retryAfter, now()) ?? 0),
    );
    const over = tries >= retry.tries || before.elapsedMs() + waitMs > retry.deadlineMs;
    return !again || over
      ? { kind: "failed", tries, reason, again }
      : { kind: "again", tries, reason, afterMs: waitMs };
  }

  async #try(
    { url, authorization }: ReturnType<typeof splitCallbackUrl>,
    message: CallbackMessage,
    signal: AbortSignal,
  ): Promise<Try> {
    const { timeoutMs } = this.#options;
    const deadline = new Deadline(signal, timeoutMs, timeoutMs * LONGEST_STREAM_TIMEOUTS);
    let body: Buffer | Readable | undefined;
    try {
      const sealed = await this.#seal(message.body, deadline);
      body = sealed.body;
      const own: [string, string | undefined][] = [
        ["Authorization", authorization],
        [SIGNATURE_HEADER, sealed.signature],
        ["Content-Length", message.body.bytes === undefined ? undefined : String(message.body.bytes)],
      ];
      const answer = await request(url, {
        method: "POST",
        headers: withOwn(message.headers, own),
        body,
        signal: deadline.signal,
        dispatcher: this.#agent,
      });
      // The status is the answer; what follows it only keeps the connection usable.
      await answer.body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => undefined);
      return judge(answer.statusCode, answer.headers["retry-after"]);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TargetRefused) return { kind: "refused", reason: `its target is refused: ${error.message}` };
      if (deadline.expired) return { kind: "failed", reason: "no answer in time", again: true };
      const { code, message: text } = error as NodeJS.ErrnoException;
      return { kind: "failed", reason: code ?? text, again: code !== "UND_ERR_INVALID_ARG" };
    } finally {
      deadline.clear();
      if (body instanceof Readable) body.destroy();
    }
  }

  /** A signature stands before the body that it signs, so a signed stream is read twice. */
  async #seal(
    source: CallbackBody,
    deadline: Deadline,
  ): Promise<{ readonly body: Buffer | Readable; readonly signature?: string }> {
    const { signer, now } = this.#options;
    const at = now();
    const body = source.body();
    if (!(body instanceof Readable)) {
      return signer ? { body, signature: signer.begin(at).add(body).finish() } : { body };
    }
    if (!signer) return { body: Readable.from(watched(body, deadline), { objectMode: false }) };
    const signing = signer.begin(at);
    for await (const piece of watched(body, deadline)) signing.add(piece);
    const signature = signing.finish();
    const copy = checked(watched(source.body() as Readable, deadline), signer.begin(at), signature);
    return { body: Readable.from(copy, { objectMode: false }), signature };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

async function* watched(source: Readable, deadline: Deadline): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    deadline.signal.throwIfAborted();
    deadline.extend();
    yield piece as Buffer;
  }
}

/** Breaks off at the end of a body that is not the one signed; its receiver would find the signature wrong, and refuse. */
async function* checked(
  source: AsyncIterable<Uint8Array>,
  signing: Signing,
  expected: string,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    signing.add(piece);
    yield piece;
  }
  if (signing.finish() !== expected) throw new Error("the body has changed since it was signed");
}

/** The message's headers and our own; nobody else sets ours. */
function withOwn(headers: readonly string[], own: readonly [name: string, value: string | undefined][]): string[] {
  const set = own.filter((pair): pair is [string, string] => pair[1] !== undefined);
  const replaced = new Set([...set.map(([name]) => name.toLowerCase()), SIGNATURE_HEADER.toLowerCase()]);
  const all = set.flat();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!replaced.has(name.toLowerCase())) all.push(name, headers[i + 1] as string);
  }
  return all;
}

function judge(status: number, retryAfter: string | string[] | undefined): Try {
  if (status >= 200 && status < 300) return { kind: "delivered", status };
  const again = status >= 500 || status === 408 || status === 429;
  return {
    kind: "failed",
    reason: `status ${status}`,
    again,
    ...(typeof retryAfter === "string" && { retryAfter }),
  };
}

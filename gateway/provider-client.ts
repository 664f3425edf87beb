import { parseJson } from "../contract/decode.ts";
import { FaasError, kindOfStatus } from "../contract/errors.ts";
import {
  decodeFunctionList,
  decodeFunctionNames,
  decodeFunctionStatus,
  type FunctionRef,
  type FunctionStatus,
  qualifiedName,
} from "../contract/functions.ts";
import { decodeProviderInfo, type ProviderInfo } from "../contract/info.ts";
import { decodeListedFunction, type ListedFunction } from "../contract/listed-function.ts";
import { decodeNamespaceList } from "../contract/namespaces.ts";
import { DEFAULT_NAMESPACE, PATHS } from "../contract/paths.ts";
import type { Logger } from "../kit/log.ts";
import { sleep } from "../kit/sleep.ts";
import { FunctionPoller, type FunctionSink } from "./polling/function-poller.ts";
import type { ProviderReads } from "./polling/function-reader.ts";
import { readEndpointsStream, type StreamAnswer } from "./proxy/endpoints-stream.ts";
import type { ProviderConnection } from "./proxy/provider-connection.ts";
import { readAnswer } from "./proxy/read-answer.ts";

export interface ProviderClientOptions {
  readonly connection: Pick<ProviderConnection, "request">;
  /** Longest wait for an answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Logger;
  /** Namespace of functions of a provider that gives none. */
  readonly defaultNamespace?: string;
}

/** Of more functions, or namespaces, that are asked for at a time, a list tells. */
const MAX_ONE_BY_ONE = 4;
/** Tens of thousands of functions fit into a list. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const MAX_ANSWER_VALUES = 4_000_000;
/** How providers answer to what they do not know. */
const UNKNOWN_ROUTE: ReadonlySet<string> = new Set(["notFound", "notAllowed", "unsupported", "upstream"]);
/** The same from those that are no proxy on the way. */
const NO_ROUTE: ReadonlySet<string> = new Set(["notFound", "notAllowed", "unsupported"]);
/** However many ask for it, the stream is tried no more often. */
const AT_ONCE_MS = 50;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 5_000;

/** Speaks the provider contract. Failures are `FaasError`s of the kind that the provider's status stands for. */
export class ProviderClient implements ProviderReads {
  readonly #options: ProviderClientOptions;
  /** Whether the endpoints stream flows. */
  #streams = false;
  /** What tells of functions where there is no stream; once it is followed. */
  #poller: FunctionPoller | undefined;
  #cut: ((ref: FunctionRef, replicas: number) => void) | undefined;
  /** Whether the provider starts functions in an order; until it says otherwise. */
  #canExpedite = true;
  /** Ends the wait for the next try to connect the stream. */
  #reconnectNow = new AbortController();

  constructor(options: ProviderClientOptions) {
    this.#options = options;
  }

  /** Whether what is known of functions is kept current; otherwise it grows old. */
  get connected(): boolean {
    return this.#streams || this.#poller?.current === true;
  }

  /** Why the provider does not tell which functions there are, though it answers; it may be replaced by one that does. */
  get silence(): string | undefined {
    if (!this.#poller?.failing) return undefined;
    return `the provider has no ${PATHS.endpoints}, and its list of functions cannot be read`;
  }

  async list(namespace?: string): Promise<FunctionStatus[]> {
    const query = namespace === undefined ? "" : `?namespace=${encodeURIComponent(namespace)}`;
    return decodeFunctionList(await this.#json(PATHS.functions + query));
  }

  /**
   * Which of these functions there are, by `name.namespace`: a few are asked for one by one, and of many the lists of
   * their namespaces.
   */
  async exist(refs: readonly FunctionRef[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const names = new Map(refs.map((ref) => [qualifiedName(ref), ref]));
    if (names.size > MAX_ONE_BY_ONE)
      return await this.#namesIn(new Set(refs.map(({ namespace }) => namespace)), signal);
    const known = await Promise.all(
      [...names].map(async ([name, ref]) => ((await this.#has(ref, signal)) ? [name] : [])),
    );
    return new Set(known.flat());
  }

  async #has(ref: FunctionRef, signal: AbortSignal): Promise<boolean> {
    return (await found(this.#request("GET", statusPath(ref), undefined, signal))) !== undefined;
  }

  async #namesIn(asked: ReadonlySet<string>, signal: AbortSignal): Promise<ReadonlySet<string>> {
    let namespaces = [...asked];
    if (namespaces.length > MAX_ONE_BY_ONE) {
      const known = decodeNamespaceList(readJson(await this.#request("GET", PATHS.namespaces, undefined, signal)));
      namespaces = known.filter((name) => asked.has(name));
    }
    const names = new Set<string>();
    for (const namespace of namespaces) {
      const path = `${PATHS.functions}?namespace=${encodeURIComponent(namespace)}`;
      const list = await found(this.#request("GET", path, undefined, signal));
      for (const name of list === undefined ? [] : decodeFunctionNames(readJson(list))) {
        names.add(qualifiedName({ name, namespace }));
      }
    }
    return names;
  }

  async info(): Promise<ProviderInfo> {
    return decodeProviderInfo(await this.#json(PATHS.info));
  }

  /** @param inFlight calls at each replica, by its address, so that idle ones go first */
  async scale(ref: FunctionRef, replicas: number, inFlight?: Readonly<Record<string, number>>): Promise<void> {
    const { name, namespace } = ref;
    const path = `${PATHS.scale}${name}?namespace=${encodeURIComponent(namespace)}`;
    const idleFirst = this.#poller?.running ? undefined : inFlight;
    await this.#request("POST", path, {
      serviceName: name,
      namespace,
      replicas,
      ...(idleFirst && { inFlight: idleFirst }),
    });
    this.#poller?.ordered(ref, replicas);
  }

  /**
   * Scales a function that had `from` replicas when that was decided. What is known may be a moment old.
   * @throws {FaasError} `conflict` when it has another number by now; `unsupported` when the provider has just taken such
   *   an order without carrying it out
   */
  async scaleFrom(
    ref: FunctionRef,
    from: number,
    replicas: number,
    inFlight?: Readonly<Record<string, number>>,
  ): Promise<void> {
    const present = await this.#presentReplicas(ref);
    if (present !== undefined && present !== from) {
      throw new FaasError("conflict", `the function has ${present} replicas by now, not ${from}`);
    }
    if (present !== undefined && this.#poller?.isInVain(ref, present, replicas)) {
      const limit = replicas > present ? "more" : "fewer";
      throw new FaasError("unsupported", `the provider makes no ${limit} than ${present} replicas of it`);
    }
    await this.scale(ref, replicas, inFlight);
  }

  /** @param listener is told when the provider makes another number of replicas of an order than was ordered */
  onCut(listener: (ref: FunctionRef, replicas: number) => void): void {
    this.#cut = listener;
  }

  /** Raises a function to a number of replicas, unless it has as many by now. */
  async raise(ref: FunctionRef, replicas: number): Promise<void> {
    const present = await this.#presentReplicas(ref);
    if (present === undefined || present < replicas) await this.scale(ref, replicas);
  }

  /** @returns undefined where a stream tells of each change at once */
  async #presentReplicas(ref: FunctionRef): Promise<number | undefined> {
    if (!this.#poller?.running) return undefined;
    const fn = await this.#poller.refresh(ref);
    if (!fn) throw new FaasError("unavailable", "the provider does not know the function now");
    return fn.replicas;
  }

  /** Calls wait for the function. Providers whose replicas all start at once do not know that, and are told no more. */
  async expediteFunction({ name, namespace }: FunctionRef): Promise<void> {
    if (!this.#canExpedite || this.#poller?.running) return;
    const path = `${PATHS.expedite}${name}?namespace=${encodeURIComponent(namespace)}`;
    try {
      await this.#request("POST", path, {});
    } catch (error) {
      if (!(error instanceof FaasError) || !UNKNOWN_ROUTE.has(error.kind)) throw error;
      this.#canExpedite = false;
    }
  }

  /**
   * Keeps a version for calls that are accepted for it.
   * @param until in milliseconds since 1970
   * @throws {FaasError} `notFound` when there is no such version, or the provider knows of none
   */
  async holdVersion({ name, namespace }: FunctionRef, version: string, until: number): Promise<void> {
    const path = `${PATHS.function}${name}/versions/${version}/hold?namespace=${encodeURIComponent(namespace)}`;
    await this.#request("PUT", path, { until });
  }

  /** What a function uses, all replicas together; undefined where that is not measured. */
  async usage(ref: FunctionRef): Promise<FunctionStatus["usage"]> {
    return decodeFunctionStatus(await this.#json(`${statusPath(ref)}&usage=true`)).usage;
  }

  /** Somebody waits for news: a stream that is broken is connected anew at once, or functions are read. */
  expedite(): void {
    this.#reconnectNow.abort();
    this.#poller?.soon();
  }

  /** Calls wait for a replica, of which only a stream tells by itself. */
  watch(ref: FunctionRef, isWaitedFor: () => boolean): void {
    this.#poller?.watch(ref, isWaitedFor);
  }

  /**
   * An answer that came through the provider does not fit what is known of a function.
   * @param replaced whether it is one that only another kind of provider gives
   */
  doubt(ref: FunctionRef, replaced: boolean): void {
    if (replaced) this.#reconnectNow.abort();
    this.#poller?.doubt(ref);
  }

  /**
   * Tells `sink` what functions there are until `signal` aborts: by the endpoints stream, through reconnections, or by
   * asking again and again while the provider has none. Which of them it is may change at any time.
   */
  async follow(sink: FunctionSink, signal: AbortSignal): Promise<void> {
    const { log, connection, defaultNamespace = DEFAULT_NAMESPACE } = this.#options;
    const cut = (ref: FunctionRef, replicas: number) => this.#cut?.(ref, replicas);
    const poller = new FunctionPoller({ reads: this, sink, defaultNamespace, cut, log });
    this.#poller = poller;
    signal.addEventListener("abort", () => poller.stop(), { once: true });
    let waitMs = RECONNECT_MIN_MS;
    let reported = false;
    while (!signal.aborted) {
      let begun = false;
      let lacking = false;
      try {
        const answered = (answer: StreamAnswer) => {
          lacking = answer === "lacking";
        };
        for await (const event of readEndpointsStream(connection, answered, signal)) {
          if (!begun) this.#beginStream(sink);
          begun = true;
          sink.apply(event);
          if (reported) log.info("provider reachable again");
          reported = false;
          waitMs = RECONNECT_MIN_MS;
        }
      } catch (err) {
        if (signal.aborted) return;
        if (!reported && !lacking && !poller.running) {
          log.warn({ err }, "endpoints stream broke; serving calls from the last snapshot");
          reported = true;
        }
      }
      this.#streams = false;
      // It may as well be a proxy on the way that knows no route; only one that lists functions is taken for a provider.
      if (lacking) poller.start();
      this.#reconnectNow = new AbortController();
      await sleep(Math.min(waitMs, AT_ONCE_MS), signal);
      const early = AbortSignal.any([signal, this.#reconnectNow.signal]);
      await sleep(Math.max(0, waitMs - AT_ONCE_MS), early); // the loop ends, or goes on early
      waitMs = Math.min(waitMs * 2, RECONNECT_MAX_MS);
    }
  }

  #beginStream(sink: FunctionSink): void {
    if (this.#poller?.running) this.#options.log.info({}, "the provider has an endpoints stream now");
    this.#poller?.stop();
    this.#canExpedite = true;
    this.#streams = true;
    sink.begin();
  }

  async namespaces(signal: AbortSignal): Promise<readonly string[] | undefined> {
    try {
      return decodeNamespaceList(readJson(await this.#request("GET", PATHS.namespaces, undefined, signal)));
    } catch (error) {
      if (error instanceof FaasError && NO_ROUTE.has(error.kind)) return undefined;
      throw error;
    }
  }

  async functionsIn(namespace: string | undefined, signal: AbortSignal): Promise<string | undefined> {
    const query = namespace === undefined ? "" : `?namespace=${encodeURIComponent(namespace)}`;
    return await found(this.#request("GET", PATHS.functions + query, undefined, signal));
  }

  async functionOf(ref: FunctionRef, signal: AbortSignal): Promise<ListedFunction | undefined> {
    const status = await found(this.#request("GET", statusPath(ref), undefined, signal));
    return status === undefined ? undefined : decodeListedFunction(readJson(status));
  }

  async #json(path: string): Promise<unknown> {
    return readJson(await this.#request("GET", path));
  }

  async #request(method: string, path: string, body?: object, given?: AbortSignal): Promise<string> {
    const timeout = AbortSignal.timeout(this.#options.timeoutMs);
    const answer = await this.#options.connection.request({
      method,
      path,
      signal: given ? AbortSignal.any([given, timeout]) : timeout,
      ...(body && { headers: ["Content-Type", "application/json"], body: JSON.stringify(body) }),
    });
    const text = await readAnswer(answer.body, MAX_ANSWER_BYTES);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return text;
    throw new FaasError(
      kindOfStatus(answer.statusCode),
      text.trim() || `the provider answered ${answer.statusCode} to ${method} ${path}`,
    );
  }
}

/** @returns undefined for what is not there; a namespace that is none has no functions */
async function found(answer: Promise<string>): Promise<string | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof FaasError && (error.kind === "notFound" || error.kind === "invalid")) return undefined;
    throw error;
  }
}

function readJson(text: string): unknown {
  return parseJson(text, "the provider's answer", MAX_ANSWER_VALUES);
}

function statusPath({ name, namespace }: FunctionRef): string {
  return `${PATHS.function}${name}?namespace=${encodeURIComponent(namespace)}`;
}

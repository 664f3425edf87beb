import { parseJson } from "../contract/decode.ts";
import { decodeEndpointsEvent, type EndpointsEvent, HEARTBEAT_INTERVAL_MS } from "../contract/endpoints.ts";
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
import { decodeNamespaceList } from "../contract/namespaces.ts";
import { PATHS } from "../contract/paths.ts";
import { LineCutter } from "../kit/line-cutter.ts";
import type { Logger } from "../kit/log.ts";
import { sleep } from "../kit/sleep.ts";
import type { ProviderConnection } from "./proxy/provider-connection.ts";

export interface ProviderClientOptions {
  readonly connection: Pick<ProviderConnection, "request">;
  /** Longest wait for an answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Logger;
}

/** Of more functions, or namespaces, that are asked for at a time, a list tells. */
const MAX_ONE_BY_ONE = 4;
/** Longest line of the endpoints stream: a function with thousands of replicas fits. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;
/** How providers answer to what they do not know. */
const UNKNOWN_ROUTE: ReadonlySet<string> = new Set(["notFound", "notAllowed", "unsupported", "upstream"]);
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 5_000;

/** Speaks the provider contract. Failures are `FaasError`s of the kind that the provider's status stands for. */
export class ProviderClient {
  readonly #options: ProviderClientOptions;
  #connected = false;
  /** Whether the provider starts functions in an order; until it says otherwise. */
  #canExpedite = true;
  #lacksStream = false;
  /** Ends the wait for the next try to connect the stream. */
  #reconnectNow = new AbortController();

  constructor(options: ProviderClientOptions) {
    this.#options = options;
  }

  /** Whether the endpoints stream flows; without it what is known of functions grows old. */
  get connected(): boolean {
    return this.#connected;
  }

  /**
   * Why this provider will never tell where functions run, as far as it has answered; it may be replaced by one that
   * does.
   */
  get streamProblem(): string | undefined {
    if (!this.#lacksStream) return undefined;
    return `the provider has no ${PATHS.endpoints}, by which one of faaslane's tells where functions run`;
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

  async #has({ name, namespace }: FunctionRef, signal: AbortSignal): Promise<boolean> {
    const path = `${PATHS.function}${name}?namespace=${encodeURIComponent(namespace)}`;
    return (await found(this.#request("GET", path, undefined, signal))) !== undefined;
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
  async scale(
    { name, namespace }: FunctionRef,
    replicas: number,
    inFlight?: Readonly<Record<string, number>>,
  ): Promise<void> {
    const path = `${PATHS.scale}${name}?namespace=${encodeURIComponent(namespace)}`;
    await this.#request("POST", path, { serviceName: name, namespace, replicas, ...(inFlight && { inFlight }) });
  }

  /** Calls wait for the function. Providers whose replicas all start at once do not know that, and are told no more. */
  async expediteFunction({ name, namespace }: FunctionRef): Promise<void> {
    if (!this.#canExpedite) return;
    const path = `${PATHS.expedite}${name}?namespace=${encodeURIComponent(namespace)}`;
    try {
      await this.#request("POST", path, {});
    } catch (error) {
      if (!(error instanceof FaasError) || !UNKNOWN_ROUTE.has(error.kind)) throw error;
      this.#canExpedite = false;
    }
  }

  /** What a function uses, all replicas together; undefined where that is not measured. */
  async usage({ name, namespace }: FunctionRef): Promise<FunctionStatus["usage"]> {
    const path = `${PATHS.function}${name}?namespace=${encodeURIComponent(namespace)}&usage=true`;
    return decodeFunctionStatus(await this.#json(path)).usage;
  }

  /** The provider answers: a stream that is broken is connected anew at once. */
  expedite(): void {
    this.#reconnectNow.abort();
  }

  /**
   * Follows the endpoints stream until `signal` aborts, through reconnections.
   * @param onConnect is called before the first event of each connection
   */
  async follow(onConnect: () => void, onEvent: (event: EndpointsEvent) => void, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    let waitMs = RECONNECT_MIN_MS;
    let reported = false;
    while (!signal.aborted) {
      try {
        for await (const event of this.#events(onConnect, signal)) {
          onEvent(event);
          if (reported) log.info("provider reachable again");
          reported = false;
          waitMs = RECONNECT_MIN_MS;
        }
      } catch (err) {
        if (signal.aborted) return;
        if (!reported) this.#report(err);
        reported = true;
      }
      this.#reconnectNow = new AbortController();
      const early = AbortSignal.any([signal, this.#reconnectNow.signal]);
      await sleep(waitMs, early); // the loop ends, or goes on early
      waitMs = Math.min(waitMs * 2, RECONNECT_MAX_MS);
    }
  }

  #report(err: unknown): void {
    const { log } = this.#options;
    const problem = this.streamProblem;
    if (problem === undefined) log.warn({ err }, "endpoints stream broke; serving calls from the last snapshot");
    else log.warn({ problem }, "no endpoints stream: no function can be called");
  }

  async *#events(onConnect: () => void, signal: AbortSignal): AsyncGenerator<EndpointsEvent> {
    // A stream that has been silent for longer than two heartbeats is dead, whatever TCP believes.
    const silence = new AbortController();
    const alarm = setTimeout(() => silence.abort(new Error("no heartbeat")), HEARTBEAT_INTERVAL_MS * 2.5);
    try {
      const { statusCode, body } = await this.#options.connection.request({
        method: "GET",
        path: PATHS.endpoints,
        signal: AbortSignal.any([signal, silence.signal]),
      });
      this.#lacksStream = statusCode === 404 || statusCode === 405;
      if (statusCode !== 200) {
        await body.dump();
        throw new FaasError(kindOfStatus(statusCode), `the provider answered ${statusCode} to the endpoints stream`);
      }
      onConnect();
      this.#canExpedite = true;
      this.#connected = true;
      const lines = new LineCutter(MAX_LINE_CHARS);
      for await (const text of body.setEncoding("utf8")) {
        alarm.refresh();
        for (const line of lines.push(text as string)) {
          if (line !== "") yield decodeEndpointsEvent(parseJson(line, "endpoints event"));
        }
      }
    } finally {
      this.#connected = false;
      clearTimeout(alarm);
    }
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
    const text = await answer.body.text();
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
  return parseJson(text, "the provider's answer");
}

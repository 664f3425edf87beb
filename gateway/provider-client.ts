import { setTimeout as delay } from "node:timers/promises";
import { decodeEndpointsEvent, type EndpointsEvent, HEARTBEAT_INTERVAL_MS } from "../provider/contract/endpoints.ts";
import { FaasError, kindOfStatus } from "../provider/contract/errors.ts";
import { decodeFunctionList, type FunctionRef, type FunctionStatus } from "../provider/contract/functions.ts";
import { decodeProviderInfo, type ProviderInfo } from "../provider/contract/info.ts";
import { PATHS } from "../provider/contract/paths.ts";
import type { Logger } from "../provider/kit/log.ts";

export interface ProviderClientOptions {
  readonly url: URL;
  /** `Authorization` header that the provider wants; absent when it wants none. */
  readonly authorization?: string;
  /** Longest wait for an answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Logger;
}

/** Longest line of the endpoints stream: a function with thousands of replicas fits. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 5_000;

/** Speaks the provider contract. Failures are `FaasError`s of the kind that the provider's status stands for. */
export class ProviderClient {
  readonly #options: ProviderClientOptions;

  constructor(options: ProviderClientOptions) {
    this.#options = options;
  }

  async list(namespace?: string): Promise<FunctionStatus[]> {
    const query = namespace === undefined ? "" : `?namespace=${encodeURIComponent(namespace)}`;
    return decodeFunctionList(await this.#json(PATHS.functions + query));
  }

  async exists({ name, namespace }: FunctionRef): Promise<boolean> {
    try {
      await this.#request(`${PATHS.function}${name}?namespace=${encodeURIComponent(namespace)}`);
      return true;
    } catch (error) {
      // A namespace that is not there has no functions.
      if (error instanceof FaasError && (error.kind === "notFound" || error.kind === "invalid")) return false;
      throw error;
    }
  }

  async info(): Promise<ProviderInfo> {
    return decodeProviderInfo(await this.#json(PATHS.info));
  }

  async scale({ name, namespace }: FunctionRef, replicas: number): Promise<void> {
    await this.#request(`${PATHS.scale}${name}?namespace=${encodeURIComponent(namespace)}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ serviceName: name, namespace, replicas }),
    });
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
          if (reported) log.info("provider is back");
          reported = false;
          waitMs = RECONNECT_MIN_MS;
        }
      } catch (err) {
        if (signal.aborted) return;
        if (!reported) log.warn({ err }, "endpoints stream broke; calls go on with the last picture");
        reported = true;
      }
      await delay(waitMs, undefined, { signal }).catch(() => undefined); // aborted: the loop ends
      waitMs = Math.min(waitMs * 2, RECONNECT_MAX_MS);
    }
  }

  async *#events(onConnect: () => void, signal: AbortSignal): AsyncGenerator<EndpointsEvent> {
    // A stream that has been silent for longer than two heartbeats is dead, whatever TCP believes.
    const silence = new AbortController();
    const alarm = setTimeout(() => silence.abort(new Error("no heartbeat")), HEARTBEAT_INTERVAL_MS * 2.5);
    try {
      const response = await this.#fetch(PATHS.endpoints, { signal: AbortSignal.any([signal, silence.signal]) });
      onConnect();
      let rest = "";
      for await (const text of (response.body ?? ReadableStream.from([])).pipeThrough(new TextDecoderStream())) {
        alarm.refresh();
        const lines = (rest + text).split("\n");
        rest = lines.pop() as string;
        if (rest.length > MAX_LINE_CHARS) throw new Error("a line of the endpoints stream is too long");
        for (const line of lines) if (line !== "") yield decodeEndpointsEvent(JSON.parse(line));
      }
    } finally {
      clearTimeout(alarm);
    }
  }

  async #json(path: string): Promise<unknown> {
    return (await this.#request(path)).json();
  }

  async #request(path: string, init: RequestInit = {}): Promise<Response> {
    return await this.#fetch(path, { ...init, signal: AbortSignal.timeout(this.#options.timeoutMs) });
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const { url, authorization } = this.#options;
    const headers = new Headers(init.headers);
    if (authorization) headers.set("authorization", authorization);
    let response: Response;
    try {
      response = await fetch(new URL(path.slice(1), url), { ...init, headers });
    } catch (cause) {
      throw new FaasError("upstream", "the provider does not answer", { cause });
    }
    if (response.ok) return response;
    const text = (await response.text()).trim();
    throw new FaasError(kindOfStatus(response.status), text || `the provider answered ${response.status}`);
  }
}

import { setTimeout as delay } from "node:timers/promises";
import { parseJson } from "../provider/contract/decode.ts";
import { decodeEndpointsEvent, type EndpointsEvent, HEARTBEAT_INTERVAL_MS } from "../provider/contract/endpoints.ts";
import { FaasError, kindOfStatus } from "../provider/contract/errors.ts";
import {
  decodeFunctionList,
  decodeFunctionStatus,
  type FunctionRef,
  type FunctionStatus,
} from "../provider/contract/functions.ts";
import { decodeProviderInfo, type ProviderInfo } from "../provider/contract/info.ts";
import { PATHS } from "../provider/contract/paths.ts";
import { LineCutter } from "../provider/kit/line-cutter.ts";
import type { Logger } from "../provider/kit/log.ts";
import type { ProviderConnection } from "./proxy/provider-connection.ts";

export interface ProviderClientOptions {
  readonly connection: Pick<ProviderConnection, "request">;
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
  #connected = false;

  constructor(options: ProviderClientOptions) {
    this.#options = options;
  }

  /** Whether the endpoints stream flows; without it what is known of functions grows old. */
  get connected(): boolean {
    return this.#connected;
  }

  async list(namespace?: string): Promise<FunctionStatus[]> {
    const query = namespace === undefined ? "" : `?namespace=${encodeURIComponent(namespace)}`;
    return decodeFunctionList(await this.#json(PATHS.functions + query));
  }

  async exists({ name, namespace }: FunctionRef): Promise<boolean> {
    try {
      await this.#request("GET", `${PATHS.function}${name}?namespace=${encodeURIComponent(namespace)}`);
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

  /** @param inFlight calls at each replica, by its address, so that idle ones go first */
  async scale(
    { name, namespace }: FunctionRef,
    replicas: number,
    inFlight?: Readonly<Record<string, number>>,
  ): Promise<void> {
    const path = `${PATHS.scale}${name}?namespace=${encodeURIComponent(namespace)}`;
    await this.#request("POST", path, { serviceName: name, namespace, replicas, ...(inFlight && { inFlight }) });
  }

  /** What a function uses, all replicas together; undefined where that is not measured. */
  async usage({ name, namespace }: FunctionRef): Promise<FunctionStatus["usage"]> {
    const path = `${PATHS.function}${name}?namespace=${encodeURIComponent(namespace)}&usage=true`;
    return decodeFunctionStatus(await this.#json(path)).usage;
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
      const { statusCode, body } = await this.#options.connection.request({
        method: "GET",
        path: PATHS.endpoints,
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (statusCode !== 200) {
        await body.dump();
        throw new FaasError(kindOfStatus(statusCode), `the provider answered ${statusCode} to the endpoints stream`);
      }
      onConnect();
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
    return parseJson(await this.#request("GET", path), "the provider's answer");
  }

  async #request(method: string, path: string, body?: object): Promise<string> {
    const answer = await this.#options.connection.request({
      method,
      path,
      signal: AbortSignal.timeout(this.#options.timeoutMs),
      ...(body ? { headers: ["Content-Type", "application/json"], body: JSON.stringify(body) } : {}),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 200 && answer.statusCode < 300) return text;
    throw new FaasError(
      kindOfStatus(answer.statusCode),
      text.trim() || `the provider answered ${answer.statusCode} to ${method} ${path}`,
    );
  }
}

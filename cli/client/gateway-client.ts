import type { IncomingMessage } from "node:http";
import { type BuildConfig, type BuildEvent, decodeBuildEvent } from "../../contract/build.ts";
import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import {
  decodeFunctionList,
  decodeFunctionStatus,
  type FunctionDeployment,
  type FunctionStatus,
} from "../../contract/functions.ts";
import { decodeLogMessage, type LogMessage } from "../../contract/logs.ts";
import { decodeFunctionNamespace, decodeNamespaceList, type FunctionNamespace } from "../../contract/namespaces.ts";
import { PATHS } from "../../contract/paths.ts";
import { decodePruneReport, type PruneReport, type PruneRequest } from "../../contract/prune.ts";
import { decodeSecretList, type SecretRequest } from "../../contract/secrets.ts";
import { decodeWarnings, WARNING_HEADER } from "../../contract/warnings.ts";
import { answeredCode, GatewayError } from "./gateway-error.ts";
import { encodeMultipart } from "./multipart.ts";
import { nextStep } from "./next-step.ts";
import { readNdjson, readText } from "./read-body.ts";
import { createTransport, explainNetworkError, type GatewayRequest, type Transport } from "./transport.ts";

export interface GatewayClientOptions {
  /** Without a trailing slash. */
  readonly url: string;
  /** The `Authorization` header of `/system` requests. */
  readonly authorization?: string | undefined;
  /** For one request and its answer; streams are limited by silence instead. 60 s unless given. */
  readonly timeoutMs?: number | undefined;
  readonly userAgent?: string | undefined;
  /** False accepts any certificate. */
  readonly tlsVerify?: boolean | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

/** What a gateway said to a write. */
export interface GatewayAnswer {
  readonly status: number;
  /** e.g. `Accepted`. */
  readonly statusText: string;
  readonly text: string;
  /** What does not hold of a deployment that was accepted. */
  readonly warnings: readonly string[];
  /** Of a failure, as in {@link GatewayError}. */
  readonly code: string | undefined;
  /** What to do about a failure, where the text does not say it. */
  readonly next?: string | undefined;
}

/** What `GET /system/logs` is asked. */
export interface LogRequest {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly instance?: string | undefined;
  /** RFC 3339. */
  readonly since?: string | undefined;
  /** Lines of each replica; -1 means all. */
  readonly tail: number;
  readonly follow: boolean;
}

const ANSWER_LIMIT_BYTES = 32 * 1024 * 1024;
const LINE_LIMIT_BYTES = 4 * 1024 * 1024;
/** An install step may be silent for minutes, so only a connection that is surely dead is given up. */
const BUILD_IDLE_MS = 15 * 60_000;

/**
 * A gateway's `/system` routes. Every failure is a `FaasError` whose kind is that of the gateway's status; a gateway
 * that cannot be reached is `unavailable`, one that stays silent `timeout`.
 */
export class GatewayClient {
  readonly url: string;
  readonly send: Transport;
  readonly #timeoutMs: number;
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ url, authorization, timeoutMs = 60_000, userAgent, tlsVerify = true, trace }: GatewayClientOptions) {
    this.url = url;
    this.send = createTransport({ url, tlsVerify, ...(trace && { trace }) });
    this.#timeoutMs = timeoutMs;
    this.#headers = {
      "User-Agent": userAgent ?? "faaslane",
      ...(authorization !== undefined && { Authorization: authorization }),
    };
  }

  async listFunctions(namespace?: string): Promise<FunctionStatus[]> {
    return decodeFunctionList(await this.#getJson(PATHS.functions + query({ namespace })));
  }

  /** Undefined when there is no such function. Measures CPU and memory too. */
  async getFunction(name: string, namespace?: string): Promise<FunctionStatus | undefined> {
    const path = PATHS.function + encodeURIComponent(name) + query({ namespace, usage: "1" });
    const answer = await this.#call({ method: "GET", path });
    return answer.status === 404 ? undefined : decodeFunctionStatus(readJson(expectStatus(answer, [200]).text));
  }

  /** Any status but 401 is the caller's to judge, as in all writes here. */
  async createFunction(deployment: FunctionDeployment): Promise<GatewayAnswer> {
    return await this.#write("POST", PATHS.functions, deployment);
  }

  async updateFunction(deployment: FunctionDeployment): Promise<GatewayAnswer> {
    return await this.#write("PUT", PATHS.functions, deployment);
  }

  async removeFunction(functionName: string, namespace?: string): Promise<GatewayAnswer> {
    return await this.#write("DELETE", PATHS.functions, { functionName, namespace });
  }

  async listSecrets(namespace?: string): Promise<{ name: string; namespace?: string | undefined }[]> {
    return decodeSecretList(await this.#getJson(PATHS.secrets + query({ namespace })));
  }

  async createSecret(secret: SecretRequest): Promise<GatewayAnswer> {
    return await this.#write("POST", PATHS.secrets, secret);
  }

  async updateSecret(secret: SecretRequest): Promise<GatewayAnswer> {
    return await this.#write("PUT", PATHS.secrets, secret);
  }

  /** @param force also when functions use it */
  async removeSecret(name: string, namespace?: string, force = false): Promise<GatewayAnswer> {
    const path = PATHS.secrets + query({ force: force ? "true" : undefined });
    return await this.#write("DELETE", path, { name, namespace });
  }

  async listNamespaces(): Promise<string[]> {
    const value = await this.#getJson(PATHS.namespaces);
    return value === undefined ? [] : decodeNamespaceList(value);
  }

  async getNamespace(name: string): Promise<FunctionNamespace> {
    return decodeFunctionNamespace(await this.#getJson(PATHS.namespace + encodeURIComponent(name)));
  }

  async createNamespace(namespace: FunctionNamespace): Promise<GatewayAnswer> {
    return await this.#write("POST", PATHS.namespace, namespace);
  }

  async updateNamespace(namespace: FunctionNamespace): Promise<GatewayAnswer> {
    return await this.#write("PUT", PATHS.namespace + encodeURIComponent(namespace.name), namespace);
  }

  async removeNamespace(namespace: FunctionNamespace): Promise<GatewayAnswer> {
    return await this.#write("DELETE", PATHS.namespace + encodeURIComponent(namespace.name), namespace);
  }

  /** Removes images that no function uses. */
  async prune(request: PruneRequest): Promise<PruneReport> {
    const { text } = expectStatus(await this.#write("POST", PATHS.prune, request), [200]);
    return decodePruneReport(readJson(text));
  }

  /** `GET /system/info` as it came: gateways of other makes add fields of their own. */
  async info(): Promise<unknown> {
    return await this.#getJson(PATHS.info);
  }

  /** The status of `/healthz`, which needs no credentials. */
  async health(): Promise<number> {
    const { Authorization: _, ...headers } = this.#headers;
    return (await this.#call({ method: "GET", path: PATHS.health, headers })).status;
  }

  /**
   * A request with the credentials, for routes that have no method here.
   * @param path with its query
   * @param body sent as JSON; nothing is when absent
   */
  async ask(method: string, path: string, body?: object): Promise<GatewayAnswer> {
    return body === undefined ? await this.#call({ method, path }) : await this.#write(method, path, body);
  }

  /**
   * A `GET` with the credentials, of what need not be text.
   * @param path with its query
   * @throws {FaasError} of the status's kind unless that is 200
   */
  async open(path: string): Promise<IncomingMessage> {
    return await this.#stream({ method: "GET", path, headers: this.#headers, timeoutMs: this.#timeoutMs });
  }

  /**
   * A `POST` of what need not be JSON, with the credentials.
   * @param path with its query
   */
  async post(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<GatewayAnswer> {
    return await this.#call({ method: "POST", path, headers: { ...this.#headers, ...headers }, body });
  }

  /** Ends by itself unless `follow` is set, and quietly when `signal` aborts. */
  async *logs({ follow, tail, ...rest }: LogRequest, signal: AbortSignal): AsyncGenerator<LogMessage> {
    const path = PATHS.logs + query({ ...rest, follow: String(follow), tail: String(tail) });
    for await (const value of this.lines(path, follow ? 0 : this.#timeoutMs, signal)) yield decodeLogMessage(value);
  }

  /**
   * The values of an NDJSON answer. Ends quietly when `signal` aborts.
   * @param path with its query
   * @param idleMs longest silence; 0 for any
   */
  async *lines(path: string, idleMs: number, signal: AbortSignal): AsyncGenerator<unknown> {
    let response: IncomingMessage | undefined;
    try {
      response = await this.#stream({ method: "GET", path, headers: this.#headers, idleMs, signal });
      yield* readNdjson(response, LINE_LIMIT_BYTES);
    } catch (error) {
      if (!signal.aborted) throw explainNetworkError(this.url, error);
    } finally {
      response?.destroy();
    }
  }

  /** Uploads a build context (tar or tar.gz) while it is made, and yields what the builder says. */
  async *build(
    context: AsyncIterable<Uint8Array>,
    config: BuildConfig,
    signal: AbortSignal,
  ): AsyncGenerator<BuildEvent> {
    const { contentType, body } = encodeMultipart([
      { name: "config", type: "application/json", content: JSON.stringify(config) },
      { name: "context", filename: "context.tar.gz", type: "application/gzip", content: context },
    ]);
    const headers = { ...this.#headers, "Content-Type": contentType, Accept: "application/x-ndjson" };
    const request = { method: "POST", path: PATHS.build, headers, body, idleMs: BUILD_IDLE_MS, signal };
    const response = await this.#stream(request);
    try {
      for await (const value of readNdjson(response, LINE_LIMIT_BYTES)) yield decodeBuildEvent(value);
    } catch (error) {
      throw explainNetworkError(this.url, error);
    } finally {
      response.destroy();
    }
  }

  async #write(method: string, path: string, body: object): Promise<GatewayAnswer> {
    const headers = { ...this.#headers, "Content-Type": "application/json" };
    return await this.#call({ method, path, headers, body: JSON.stringify(body) });
  }

  async #getJson(path: string): Promise<unknown> {
    const { text } = expectStatus(await this.#call({ method: "GET", path }), [200, 202]);
    return text.trim() === "" ? undefined : readJson(text);
  }

  async #stream(request: GatewayRequest): Promise<IncomingMessage> {
    const response = await this.send(request);
    if (response.statusCode === 200) return response;
    throw failureOf(await this.#answerOf(response));
  }

  async #call(request: GatewayRequest): Promise<GatewayAnswer> {
    const response = await this.send({ headers: this.#headers, timeoutMs: this.#timeoutMs, ...request });
    const answer = await this.#answerOf(response);
    if (answer.status === 401) throw failureOf(answer);
    return answer;
  }

  async #answerOf(response: IncomingMessage): Promise<GatewayAnswer> {
    try {
      const text = await readText(response, ANSWER_LIMIT_BYTES);
      const warnings = decodeWarnings(response.headers[WARNING_HEADER]);
      const code = answeredCode(response.headers);
      const { statusCode: status = 0, statusMessage: statusText = "" } = response;
      const next = nextStep(status, text, response.headers);
      return { status, statusText, text, warnings, code, ...(next !== undefined && { next }) };
    } catch (error) {
      throw explainNetworkError(this.url, error);
    }
  }
}

/** @throws {FaasError} of the status's kind unless it is one of `accepted` */
export function expectStatus(answer: GatewayAnswer, accepted: readonly number[]): GatewayAnswer {
  if (accepted.includes(answer.status)) return answer;
  throw failureOf(answer);
}

function failureOf(answer: GatewayAnswer): GatewayError {
  const { status, code } = answer;
  const message =
    status === 401
      ? "unauthorized access, run faaslane login to set up the credentials of this gateway"
      : describeAnswer(answer);
  return new GatewayError(status, code, message);
}

/** A failure in the gateway's words, and what to do about it. */
export function describeAnswer(answer: Omit<GatewayAnswer, "warnings" | "code">): string {
  const { status, statusText, text, next } = answer;
  const said = text.trim() === "" ? "" : `: ${text.trim()}`;
  return `the gateway answered ${status} ${statusText}${said}${next === undefined ? "" : `; ${next}`}`;
}

function readJson(text: string): unknown {
  try {
    return parseJson(text, "answer");
  } catch (cause) {
    throw new FaasError("upstream", `the gateway's answer is not JSON: ${text.slice(0, 120)}`, { cause });
  }
}

/** Parameters in the order of their names, empty ones left out. */
function query(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => (entry[1] ?? "") !== "");
  const text = new URLSearchParams(given.sort(([a], [b]) => (a < b ? -1 : 1))).toString();
  return text === "" ? "" : `?${text}`;
}

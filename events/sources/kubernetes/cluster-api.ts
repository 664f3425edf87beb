import { Agent, type Dispatcher, request } from "undici";
import { FaasError } from "../../../contract/errors.ts";
import { LineCutter } from "../../../kit/line-cutter.ts";
import { guardedConnector } from "../../../kit/outbound/connector.ts";
import type { CallbackTargets } from "../../../kit/outbound/targets.ts";
import type { ClusterLogin } from "./cluster-login.ts";

export type ClusterQuery = Readonly<Record<string, string | number | boolean | undefined>>;

const CONNECT_TIMEOUT_MS = 10_000;
const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 ** 2;
const MAX_LINE_CHARS = 4 * 1024 ** 2;
const MAX_MESSAGE_CHARS = 300;

/** The API server refused, with this HTTP status. */
export class ClusterRefusal extends FaasError {
  readonly status: number;
  constructor(status: number, message: string) {
    super("upstream", message);
    this.status = status;
  }
}

/** Requests to a Kubernetes API server. */
export class ClusterApi {
  readonly #login: ClusterLogin;
  readonly #agent: Agent;

  constructor(login: ClusterLogin, targets: CallbackTargets) {
    this.#login = login;
    const { tls } = login;
    this.#agent = new Agent({
      connect: login.own
        ? { ...tls, timeout: CONNECT_TIMEOUT_MS }
        : guardedConnector(targets, CONNECT_TIMEOUT_MS, undefined, tls),
    });
  }

  get server(): string {
    return this.#login.server;
  }

  async get<T>(path: string, query: ClusterQuery, signal: AbortSignal): Promise<T> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const body = await this.#ask(path, query, limited, TIMEOUT_MS);
    let text = "";
    for await (const piece of body.setEncoding("utf8")) {
      text += piece;
      if (text.length > MAX_ANSWER_BYTES) throw new FaasError("upstream", "the API server's answer is too large");
    }
    return parse(text) as T;
  }

  /** Lines of an answer that goes on, those that come together at a time. @param silenceMs longest pause between two */
  async *lines(
    path: string,
    query: ClusterQuery,
    signal: AbortSignal,
    silenceMs: number,
  ): AsyncGenerator<readonly unknown[]> {
    const body = await this.#ask(path, query, signal, silenceMs);
    const cutter = new LineCutter(MAX_LINE_CHARS, "refuse");
    for await (const piece of body) {
      const lines = cutter.push(piece as Buffer).filter((line) => line !== "");
      if (lines.length > 0) yield lines.map(parse);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask(
    path: string,
    query: ClusterQuery,
    signal: AbortSignal,
    bodyTimeout: number,
  ): Promise<Dispatcher.ResponseData["body"]> {
    const url = new URL(`${this.#login.server}${path}`);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const token = await this.#login.token();
    const { statusCode, body } = await request(url, {
      headers: { accept: "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      dispatcher: this.#agent,
      signal,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout,
    });
    if (statusCode === 200) return body;
    const text = (await body.text()).slice(0, MAX_MESSAGE_CHARS * 4);
    throw new ClusterRefusal(
      statusCode,
      `the API server has answered ${path} with status ${statusCode}: ${messageOf(text)}`,
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FaasError("upstream", "the API server has answered something that is not JSON", { cause });
  }
}

/** Of `Status`, as it refuses. */
function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? "").slice(0, MAX_MESSAGE_CHARS);
  } catch {
    return text.slice(0, MAX_MESSAGE_CHARS);
  }
}

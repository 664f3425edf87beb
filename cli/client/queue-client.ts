import {
  type CallDetails,
  type CallList,
  type CallReport,
  type DeadLetterList,
  decodeCallDetails,
  decodeCallList,
  decodeCallReport,
  decodeChangeCount,
  decodeDeadLetterList,
  decodeQueueReport,
  type QueueReport,
} from "../../contract/calls.ts";
import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { describeAnswer, type GatewayAnswer, type GatewayClient } from "./gateway-client.ts";
import { GatewayError } from "./gateway-error.ts";
import { readBytes } from "./read-body.ts";

/** Which dead letters; empty fields are left out. Times as the gateway takes them: a moment, or a duration ago. */
export interface DeadLetterFlags {
  readonly id?: string | undefined;
  readonly function?: string | undefined;
  readonly namespace?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

export interface DeadLetterPageRequest extends DeadLetterFlags {
  readonly limit: string;
  readonly after?: string | undefined;
}

/** Which calls; empty fields are left out. */
export interface CallPageRequest {
  readonly function?: string | undefined;
  readonly namespace?: string | undefined;
  readonly queue?: string | undefined;
  readonly state?: string | undefined;
  readonly limit: string;
  readonly after?: string | undefined;
}

/** The most that a gateway gives of one. */
const BODY_LIMIT_BYTES = 16 * 1024 ** 2;

/** A gateway's queue. Every failure is a `FaasError` whose kind is that of the gateway's status. */
export class QueueClient {
  readonly #client: Pick<GatewayClient, "ask" | "open">;

  constructor(client: Pick<GatewayClient, "ask" | "open">) {
    this.#client = client;
  }

  async status(which: {
    readonly function?: string | undefined;
    readonly namespace?: string | undefined;
  }): Promise<QueueReport> {
    return decodeQueueReport(await this.#json("GET", PATHS.queue, { ...which }));
  }

  /** @param wait how long to wait for its end, as the gateway takes durations */
  async call(id: string, wait?: string): Promise<CallReport> {
    return decodeCallReport(await this.#json("GET", pathOf(id), { wait }));
  }

  /** Cancels the calls of a function that wait. @returns how many */
  async purge(which: { readonly function: string; readonly namespace?: string | undefined }): Promise<number> {
    return decodeChangeCount(await this.#json("DELETE", PATHS.queue, { ...which }));
  }

  async list(request: CallPageRequest): Promise<CallList> {
    return decodeCallList(await this.#json("GET", PATHS.calls, { ...request }));
  }

  async show(id: string): Promise<CallDetails> {
    return decodeCallDetails(await this.#json("GET", PATHS.call, { id }));
  }

  /** What was sent in a call, or its beginning, and how large it is. */
  async body(id: string): Promise<{ readonly bytes: Buffer; readonly bodyBytes: number }> {
    const query = new URLSearchParams({ id, limit: String(BODY_LIMIT_BYTES) });
    const response = await this.#client.open(`${PATHS.callBody}?${query}`);
    const bytes = await readBytes(response, BODY_LIMIT_BYTES);
    return { bytes, bodyBytes: Number(response.headers["x-faaslane-body-bytes"] ?? bytes.length) };
  }

  async cancel(id: string): Promise<void> {
    check(await this.#client.ask("DELETE", pathOf(id)));
  }

  /** Has the callback of a call that has ended sent once more. */
  async callBack(id: string): Promise<void> {
    check(await this.#client.ask("POST", `${PATHS.callCallback}?${new URLSearchParams({ id })}`));
  }

  async deadLetters(request: DeadLetterPageRequest): Promise<DeadLetterList> {
    return decodeDeadLetterList(await this.#json("GET", PATHS.deadLetters, { ...request }));
  }

  /** @param filter empty for all @returns how many */
  async replay(filter: DeadLetterFlags): Promise<number> {
    return decodeChangeCount(await this.#json("POST", PATHS.deadLetters, orAll(filter)));
  }

  /** @param filter empty for all @returns how many */
  async drop(filter: DeadLetterFlags): Promise<number> {
    return decodeChangeCount(await this.#json("DELETE", PATHS.deadLetters, orAll(filter)));
  }

  async #json(method: string, path: string, query: Readonly<Record<string, string | undefined>>): Promise<unknown> {
    const given = Object.entries(query).filter((entry): entry is [string, string] => (entry[1] ?? "") !== "");
    const text = new URLSearchParams(given).toString();
    const answer = check(await this.#client.ask(method, text === "" ? path : `${path}?${text}`));
    try {
      return parseJson(answer.text, "answer");
    } catch (cause) {
      throw new FaasError("upstream", "the gateway's answer is not JSON; is it a faaslane gateway?", { cause });
    }
  }
}

function pathOf(id: string): string {
  return `/async-function/${encodeURIComponent(id)}`;
}

function orAll(filter: DeadLetterFlags): Record<string, string | undefined> {
  const empty = Object.values(filter).every((value) => value === undefined || value === "");
  return empty ? { all: "true" } : { ...filter };
}

/** @throws {FaasError} with the gateway's own words */
function check(answer: GatewayAnswer): GatewayAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  const said = answer.text.trim();
  throw new GatewayError(answer.status, answer.code, said === "" ? describeAnswer(answer) : said);
}

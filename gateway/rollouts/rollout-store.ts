import { parseJson } from "../../contract/decode.ts";
import { FaasError, kindOfStatus } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import { PATHS } from "../../contract/paths.ts";
import { decodeListedRollout, type ListedRollout } from "../../contract/versions/requests.ts";
import type { ProviderConnection } from "../proxy/provider-connection.ts";
import { readAnswer } from "../proxy/read-answer.ts";

const MAX_ANSWER_BYTES = 1024 * 1024;
const TIMEOUT_MS = 10_000;

/** Rollouts as the provider keeps them. Failures are `FaasError`s of the kind that its status stands for. */
export class RolloutStore {
  readonly #connection: Pick<ProviderConnection, "request">;

  constructor(connection: Pick<ProviderConnection, "request">) {
    this.#connection = connection;
  }

  async read(ref: FunctionRef): Promise<ListedRollout> {
    return decodeListedRollout(parseJson(await this.#request("GET", ref), "the provider's answer"));
  }

  /** @throws {FaasError} `conflict` when it has been written since `generation` */
  async write(ref: FunctionRef, listed: ListedRollout): Promise<void> {
    await this.#request("PUT", ref, JSON.stringify(listed));
  }

  async #request(method: string, { name, namespace }: FunctionRef, body?: string): Promise<string> {
    const answer = await this.#connection.request({
      method,
      path: `${PATHS.function}${encodeURIComponent(name)}/rollout?namespace=${encodeURIComponent(namespace)}`,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body !== undefined && { headers: ["Content-Type", "application/json"], body }),
    });
    const text = await readAnswer(answer.body, MAX_ANSWER_BYTES);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return text;
    const why = text.trim() || `the provider answered ${answer.statusCode} to ${method} of a rollout`;
    throw new FaasError(kindOfStatus(answer.statusCode), why);
  }
}

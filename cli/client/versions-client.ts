import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import {
  decodeListedRollout,
  decodeListedVersions,
  decodeRollbackAnswer,
  decodeTrafficRequest,
  type ListedRollout,
  type ListedVersions,
  type RollbackAnswer,
  type RollbackRequest,
  type RolloutRequest,
  type TrafficRequest,
} from "../../contract/versions/requests.ts";
import { CliError, LIST_SHOWS } from "../errors.ts";
import { expectStatus, type GatewayAnswer, type GatewayClient } from "./gateway-client.ts";

/** A function as the command line names it. */
export interface NamedFunction {
  readonly name: string;
  readonly namespace?: string | undefined;
}

/** A gateway's routes about versions of functions. */
export class VersionsClient {
  readonly #client: Pick<GatewayClient, "ask">;

  constructor(client: Pick<GatewayClient, "ask">) {
    this.#client = client;
  }

  /** @param diff `v2..v3` */
  async versions(fn: NamedFunction, diff?: string): Promise<ListedVersions> {
    return decodeListedVersions(await this.#ask("GET", fn, "versions", undefined, diff === undefined ? {} : { diff }));
  }

  async traffic(fn: NamedFunction): Promise<TrafficRequest> {
    return decodeTrafficRequest(await this.#ask("GET", fn, "traffic"));
  }

  async setTraffic(fn: NamedFunction, request: TrafficRequest): Promise<void> {
    await this.#ask("PUT", fn, "traffic", request);
  }

  async rollback(fn: NamedFunction, request: RollbackRequest): Promise<RollbackAnswer> {
    return decodeRollbackAnswer(await this.#ask("POST", fn, "rollback", request));
  }

  async rollout(fn: NamedFunction): Promise<ListedRollout> {
    return decodeListedRollout(await this.#ask("GET", fn, "rollout"));
  }

  async act(fn: NamedFunction, request: RolloutRequest): Promise<void> {
    await this.#ask("POST", fn, "rollout", request);
  }

  async #ask(
    method: string,
    { name, namespace }: NamedFunction,
    below: string,
    body?: object,
    query: Readonly<Record<string, string>> = {},
  ): Promise<unknown> {
    const parameters = new URLSearchParams({ ...(namespace && { namespace }), ...query }).toString();
    const path = `${PATHS.function}${encodeURIComponent(name)}/${below}${parameters === "" ? "" : `?${parameters}`}`;
    const answer = await this.#client.ask(method, path, body);
    if (answer.status === 404) throw missing(name, answer);
    const { text } = expectStatus(answer, [200, 202]);
    return text.trim() === "" ? undefined : readJson(text);
  }
}

function missing(name: string, { text, code }: GatewayAnswer): CliError {
  const said = text.trim();
  if (code === "unknown_route" || said === "404 page not found")
    return new CliError(
      "this gateway or its provider has no versions of functions; `faaslane version` shows which they are",
    );
  return new CliError(said === "" ? `no such function: ${name}; ${LIST_SHOWS}` : `${said}; ${nextOf(said, name)}`);
}

function nextOf(said: string, name: string): string {
  return /\bversion|\btag|\brollout/.test(said) ? `\`faaslane versions ${name}\` shows what there is` : LIST_SHOWS;
}

function readJson(text: string): unknown {
  try {
    return parseJson(text, "answer");
  } catch (cause) {
    throw new FaasError("upstream", "the gateway's answer is not JSON; is it a faaslane gateway?", { cause });
  }
}

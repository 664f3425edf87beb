import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import {
  type DecodedCallDetail,
  type DecodedCalls,
  decodeKeptCall,
  decodeKeptCalls,
} from "../../contract/ui/decode-calls.ts";
import { expectStatus, type GatewayClient } from "./gateway-client.ts";

export interface CallsRequest {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly preset?: string | undefined;
  readonly limit?: string | undefined;
}

/** Calls that a gateway has kept. Every failure is a `FaasError` whose kind is that of the gateway's status. */
export class CallsClient {
  readonly #client: Pick<GatewayClient, "ask">;

  constructor(client: Pick<GatewayClient, "ask">) {
    this.#client = client;
  }

  /** Newest first. */
  async list({ name, ...asked }: CallsRequest): Promise<DecodedCalls> {
    const given = Object.entries(asked).filter((entry): entry is [string, string] => (entry[1] ?? "") !== "");
    return decodeKeptCalls(await this.#get(`?${new URLSearchParams([["function", name], ...given])}`));
  }

  async show(id: string): Promise<DecodedCallDetail> {
    return decodeKeptCall(await this.#get(`/${encodeURIComponent(id)}`));
  }

  async #get(below: string): Promise<unknown> {
    const { text } = expectStatus(await this.#client.ask("GET", `/ui/api/calls${below}`), [200]);
    try {
      return parseJson(text, "answer");
    } catch (cause) {
      throw new FaasError("upstream", "the gateway's answer is not JSON; is it a faaslane gateway?", { cause });
    }
  }
}

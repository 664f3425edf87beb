import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { decodeScalingReport, type ScalingReport } from "../../contract/scaling.ts";
import { expectStatus, type GatewayClient } from "./gateway-client.ts";

/** What a gateway tells about scaling. Every failure is a `FaasError` whose kind is that of the gateway's status. */
export class ScalingClient {
  readonly #client: Pick<GatewayClient, "ask">;

  constructor(client: Pick<GatewayClient, "ask">) {
    this.#client = client;
  }

  async explain(name: string, namespace?: string): Promise<ScalingReport> {
    const text = await this.#get(name, "", { namespace });
    return decodeScalingReport(readJson(text));
  }

  /** @param since milliseconds since the epoch @returns NDJSON */
  async history(name: string, namespace?: string, since?: number): Promise<string> {
    return await this.#get(name, "/history", {
      namespace,
      since: since === undefined ? undefined : new Date(since).toISOString(),
    });
  }

  async #get(name: string, below: string, query: Readonly<Record<string, string | undefined>>): Promise<string> {
    const given = Object.entries(query).filter((entry): entry is [string, string] => (entry[1] ?? "") !== "");
    const text = new URLSearchParams(given).toString();
    const path = `${PATHS.scaling}${encodeURIComponent(name)}${below}${text === "" ? "" : `?${text}`}`;
    return expectStatus(await this.#client.ask("GET", path), [200]).text;
  }
}

function readJson(text: string): unknown {
  try {
    return parseJson(text, "answer");
  } catch (cause) {
    throw new FaasError("upstream", "the gateway's answer is not JSON; is it a faaslane gateway?", { cause });
  }
}

import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { decodeListedRoutes, type ListedRoute } from "../../contract/routes/requests.ts";
import type { GivenRoute } from "../../contract/routes/route.ts";
import { CliError, LIST_SHOWS } from "../errors.ts";
import { expectStatus, type GatewayAnswer, type GatewayClient } from "./gateway-client.ts";
import type { NamedFunction } from "./versions-client.ts";

/** A gateway's routes to functions. */
export class RoutesClient {
  readonly #client: Pick<GatewayClient, "ask">;

  constructor(client: Pick<GatewayClient, "ask">) {
    this.#client = client;
  }

  /** @param namespace of the functions; all when absent */
  async list(namespace?: string): Promise<ListedRoute[]> {
    const query = namespace ? `?namespace=${encodeURIComponent(namespace)}` : "";
    const { text } = this.#expect(await this.#client.ask("GET", PATHS.routes + query), [200]);
    try {
      return decodeListedRoutes(parseJson(text, "answer"));
    } catch (cause) {
      throw new FaasError("upstream", "the gateway's answer is no list of routes; is it a faaslane gateway?", {
        cause,
      });
    }
  }

  /** Gives a function these routes and no others. */
  async set({ name, namespace }: NamedFunction, routes: readonly GivenRoute[]): Promise<void> {
    const body = { function: name, namespace, routes };
    this.#expect(await this.#client.ask("PUT", PATHS.routes, body), [202], name);
  }

  async remove({ name, namespace }: NamedFunction): Promise<void> {
    this.#expect(await this.#client.ask("DELETE", PATHS.routes, { function: name, namespace }), [202], name);
  }

  #expect(answer: GatewayAnswer, statuses: readonly number[], name = ""): GatewayAnswer {
    if (answer.status !== 404) return expectStatus(answer, statuses);
    if (answer.code === "unknown_function") throw new CliError(`no such function: ${name}; ${LIST_SHOWS}`);
    throw new CliError(
      "this gateway or its provider has no routes to functions; `faaslane version` shows which they are",
    );
  }
}

import {
  decodeListedResource,
  decodeListedResources,
  type ListedResource,
} from "../../contract/events/listed-resource.ts";
import { PATHS } from "../../contract/paths.ts";
import type { StackResourceKind } from "../stack/types.ts";
import { expectEvents, parseAnswer, query } from "./events-client.ts";
import type { GatewayClient } from "./gateway-client.ts";

const ROUTES: Readonly<Record<StackResourceKind, string>> = {
  broker: PATHS.brokers,
  sink: PATHS.sinks,
  trigger: PATHS.triggers,
  flow: PATHS.flows,
  source: PATHS.sources,
};

/** What is declared for events at a gateway. */
export class ResourcesClient {
  readonly #client: Pick<GatewayClient, "ask">;

  constructor(client: Pick<GatewayClient, "ask">) {
    this.#client = client;
  }

  async list(kind: StackResourceKind, namespace?: string): Promise<ListedResource[]> {
    const answer = await this.#client.ask("GET", ROUTES[kind] + query({ namespace }));
    return decodeListedResources(parseAnswer(expectEvents(answer, [200])));
  }

  /** Undefined when there is none. */
  async find(kind: StackResourceKind, name: string, namespace?: string): Promise<ListedResource | undefined> {
    const answer = await this.#client.ask("GET", pathOf(kind, name, namespace));
    if (answer.status === 404 && answer.code !== "unknown_route") return undefined;
    return decodeListedResource(parseAnswer(expectEvents(answer, [200])));
  }

  /** @returns whether there was none before */
  async declare(kind: StackResourceKind, name: string, spec: object, namespace?: string): Promise<boolean> {
    const answer = await this.#client.ask("PUT", pathOf(kind, name, namespace), spec);
    return expectEvents(answer, [200, 201]).status === 201;
  }

  /**
   * @param force also when something is still to be done with it
   * @returns whether it was there
   */
  async remove(kind: StackResourceKind, name: string, namespace?: string, force = false): Promise<boolean> {
    const path = pathOf(kind, name, namespace, { force: force ? "true" : undefined });
    const answer = await this.#client.ask("DELETE", path);
    if (answer.status === 404 && answer.code !== "unknown_route") return false;
    expectEvents(answer, [200, 202, 204]);
    return true;
  }

  /** `POST …/NAME/ACTION`. */
  async act(kind: StackResourceKind, name: string, action: string, namespace?: string): Promise<void> {
    const path = pathOf(kind, name, namespace).replace(/(?=\?|$)/, `/${action}`);
    expectEvents(await this.#client.ask("POST", path), [200, 202, 204]);
  }
}

function pathOf(
  kind: StackResourceKind,
  name: string,
  namespace: string | undefined,
  more: Readonly<Record<string, string | undefined>> = {},
): string {
  return `${ROUTES[kind]}/${encodeURIComponent(name)}${query({ namespace, ...more })}`;
}

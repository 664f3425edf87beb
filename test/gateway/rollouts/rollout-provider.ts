import type { ServerResponse } from "node:http";
import type { ListedRollout } from "../../../contract/versions/requests.ts";
import { rolloutTargets } from "../../../contract/versions/rollout-shares.ts";
import { isUnderWay, type RolloutState } from "../../../contract/versions/rollout-state.ts";
import type { FakeProvider, ProviderRequest } from "../../support/fake-provider.ts";

const ROUTE = /^\/system\/function\/shop\/rollout\?namespace=openfaas-fn$/;

/** Has a provider keep the rollout of a function `shop` from v1 to v2, as the contract says. */
export class RolloutProvider {
  readonly #provider: FakeProvider;
  listed: ListedRollout;
  readonly course: string[] = [];
  /** Replicas of v2. */
  ready = 1;
  readonly #addresses: { readonly v1: string; readonly v2?: string };

  /** @param addresses of replicas, where they are to be called; v2 has no more than that one then */
  constructor(
    provider: FakeProvider,
    rollout: RolloutState,
    addresses: { readonly v1: string; readonly v2?: string } = { v1: "127.0.0.1:1" },
  ) {
    this.#provider = provider;
    this.#addresses = addresses;
    this.listed = { generation: 1, rollout };
    const others = provider.respond;
    provider.respond = (request, res) => {
      if (request.url.startsWith("/system/scale-function/shop@v2")) this.#scale(request);
      if (ROUTE.test(request.url)) this.#answer(request, res);
      else others(request, res);
    };
    this.announce();
  }

  #scale({ body }: ProviderRequest): void {
    this.ready = (JSON.parse(body) as { replicas: number }).replicas;
    this.announce();
  }

  #answer({ method, body }: ProviderRequest, res: ServerResponse): void {
    const json = { "content-type": "application/json" };
    if (method === "GET") {
      res.writeHead(200, json).end(JSON.stringify(this.listed));
      return;
    }
    const { generation, rollout } = JSON.parse(body) as ListedRollout;
    if (generation !== this.listed.generation) {
      res.writeHead(409).end("stale");
      return;
    }
    this.set(rollout);
    res.writeHead(200, json).end(JSON.stringify(this.listed));
  }

  set(rollout: RolloutState | undefined): void {
    this.listed = { generation: this.listed.generation + 1, rollout };
    if (rollout) this.course.push(`${rollout.phase} ${rollout.step}`);
    this.announce();
  }

  /** What the stream says. */
  announce(): void {
    const { rollout, generation } = this.listed;
    const shown = rollout && isUnderWay(rollout) ? { rollout } : {};
    const ready = (address: string) => ({ address, instance: address, state: "ready" as const });
    const main = { name: "shop", version: "v1", endpoints: [ready(this.#addresses.v1)] };
    const traffic = rollout ? rolloutTargets(rollout) : [];
    this.#provider.put({ ...main, traffic, trafficGeneration: generation, ...shown });
    const { v2 } = this.#addresses;
    const endpoints = v2 ? [ready(v2)] : Array.from({ length: this.ready }, (_, at) => ready(`127.0.0.1:${at + 2}`));
    this.#provider.put({ name: "shop@v2", version: "v2", replicas: this.ready, endpoints });
  }
}

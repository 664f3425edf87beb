import type { ServerResponse } from "node:http";
import type { ListedRollout } from "../../../contract/versions/requests.ts";
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
  reads = 0;

  constructor(provider: FakeProvider, rollout: RolloutState) {
    this.#provider = provider;
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
      this.reads++;
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
    const main = { name: "shop", version: "v1", endpoints: [ready("127.0.0.1:1")] };
    this.#provider.put({ ...main, trafficGeneration: generation, ...shown });
    const endpoints = Array.from({ length: this.ready }, (_, at) => ready(`127.0.0.1:${at + 2}`));
    this.#provider.put({ name: "shop@v2", version: "v2", replicas: this.ready, endpoints });
  }
}

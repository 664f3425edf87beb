import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { qualifiedName } from "../../../../contract/functions.ts";
import { parseRoutes } from "../../../../contract/routes/parse-routes.ts";
import { type OwnedRoute, ROUTES } from "../../../../contract/routes/route.ts";
import type { Logger } from "../../../../kit/log.ts";
import type { IngressRoute } from "../../backend.ts";
import type { WatchHub } from "../../watch-hub.ts";
import type { InformerCache } from "../cache/informer-cache.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import type { RouteObjectSettings } from "../resources/route-object.ts";
import { openRouteObjects, type RouteObjectKeeper } from "./route-objects.ts";

export interface RouteParts {
  readonly client: KubernetesClient;
  readonly settings: RouteObjectSettings;
  readonly cache: Pick<InformerCache, "annotations">;
  readonly ingresses: { list(): readonly IngressRoute[] };
  readonly hub: Pick<WatchHub, "watch">;
  readonly ready: Promise<unknown>;
  readonly log: Logger;
}

const LEASE_MS = 15_000;

/** Keeps the objects of routes by what functions and FunctionIngresses say, until `signal` aborts. */
export function keepRouteObjects(parts: RouteParts, signal: AbortSignal): RouteObjectKeeper {
  const { client, settings, hub, ready, log } = parts;
  const keeper = openRouteObjects({
    client,
    settings,
    ready,
    log,
    routes: () => routesOf(parts),
    identity: `${hostname()}_${randomUUID().slice(0, 8)}`,
    leaseDurationMs: LEASE_MS,
  });
  const following = follow(hub, keeper, signal);
  return {
    look: () => keeper.look(),
    close: async () => {
      await keeper.close();
      await following;
    },
  };
}

/** Replicas come and go all the time; only what a function says of routes counts. */
async function follow(hub: Pick<WatchHub, "watch">, keeper: RouteObjectKeeper, signal: AbortSignal): Promise<void> {
  const seen = new Map<string, string>();
  for await (const event of hub.watch(signal)) {
    if (event.type === "heartbeat") continue;
    const { name, namespace, annotations } = event.function;
    const key = `${name}.${namespace}`;
    const text = event.type === "removed" ? "" : (annotations[ROUTES] ?? "");
    if ((seen.get(key) ?? "") === text) continue;
    if (text === "") seen.delete(key);
    else seen.set(key, text);
    keeper.look();
  }
}

function routesOf({ cache, ingresses }: Pick<RouteParts, "cache" | "ingresses">): OwnedRoute[] {
  const owned: OwnedRoute[] = [];
  for (const { name, namespace, annotations } of cache.annotations()) {
    try {
      for (const route of parseRoutes(annotations[ROUTES] ?? "")) owned.push({ function: { name, namespace }, route });
    } catch {
      // Gateways have none of it either, and say so.
    }
  }
  owned.push(...ingresses.list());
  // As gateways do, of two that are the same.
  return owned.sort((a, b) => (qualifiedName(a.function) < qualifiedName(b.function) ? -1 : 1));
}

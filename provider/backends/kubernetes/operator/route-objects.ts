import { isDeepStrictEqual } from "node:util";
import type { OwnedRoute } from "../../../../contract/routes/route.ts";
import type { Logger } from "../../../../kit/log.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { hasStatus } from "../client/api-error.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import {
  buildRouteObjects,
  ROUTE_SELECTOR,
  type RouteObject,
  type RouteObjectSettings,
} from "../resources/route-object.ts";
import { untilAborted } from "../waits.ts";
import { holdLease } from "./lease.ts";

export interface RouteObjectsOptions {
  readonly client: KubernetesClient;
  readonly settings: RouteObjectSettings;
  /** Routes of all functions as they are now. */
  readonly routes: () => readonly OwnedRoute[];
  /** Resolves once functions have been seen. */
  readonly ready: Promise<unknown>;
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly log: Logger;
}

export interface RouteObjectKeeper {
  /** Routes may have changed. */
  look(): void;
  /** May be called twice. */
  close(): Promise<void>;
}

const LEASE_NAME = "faaslane-routes";
/** Changes that come together are one. */
const GATHER_MS = 500;
/** Somebody else may have changed the objects. */
const LOOK_EVERY_MS = 60_000;

/** Keeps an Ingress or HTTPRoute for each route, while it is the one provider that does. */
export function openRouteObjects(options: RouteObjectsOptions): RouteObjectKeeper {
  const { client, settings, identity, leaseDurationMs: durationMs, log } = options;
  const closing = new AbortController();
  let changed = new AbortController();
  const lead = async (leading: AbortSignal) => {
    await untilAborted(options.ready, leading);
    while (!leading.aborted) {
      changed = new AbortController();
      const next = changed.signal;
      try {
        await reconcile(options);
      } catch (err) {
        if (leading.aborted) return;
        log.warn({ err }, "cannot keep the objects of routes; tried again");
      }
      await sleep(LOOK_EVERY_MS, AbortSignal.any([leading, next]));
      await sleep(GATHER_MS, leading);
    }
  };
  const lease = { client, namespace: settings.namespace, name: LEASE_NAME, identity, durationMs, log };
  const ended = holdLease(lease, lead, closing.signal);
  return {
    look: () => changed.abort(),
    close: async () => {
      closing.abort();
      await ended;
    },
  };
}

interface Found {
  readonly items?: readonly Partial<RouteObject>[];
}

async function reconcile({ client, settings, routes, log }: RouteObjectsOptions): Promise<void> {
  const collection = apiPath.routeObjects(settings.kind, settings.namespace);
  const { items = [] } = await client.get<Found>(collection, { labelSelector: ROUTE_SELECTOR });
  const present = new Map(items.map((item) => [item.metadata?.name ?? "", item]));
  const wanted = buildRouteObjects(routes(), settings);
  for (const object of wanted) {
    const { name } = object.metadata;
    const known = present.get(name);
    present.delete(name);
    if (known && isDeepStrictEqual(known.spec, object.spec) && hasAll(known, object)) continue;
    await client.apply(`${collection}/${name}`, object);
    log.info({ route: name, kind: object.kind }, "object of a route written");
  }
  for (const name of present.keys()) {
    await client.remove(`${collection}/${name}`).catch((error: unknown) => {
      if (!hasStatus(error, 404)) throw error;
    });
    log.info({ route: name }, "object of a route removed");
  }
}

/** Whether it has the annotations that it is to have; others add theirs. */
function hasAll(known: Partial<RouteObject>, { metadata }: RouteObject): boolean {
  const annotations = known.metadata?.annotations ?? {};
  return Object.entries(metadata.annotations).every(([name, value]) => annotations[name] === value);
}

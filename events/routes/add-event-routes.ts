import type { Express, RequestHandler } from "express";
import type { EventStore } from "../store/event-store.ts";
import type { ResourceStore } from "../store/resource-store.ts";

/** What the control routes of events work with. Opened by the first request that needs it. */
export interface EventRouteDeps {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  /** Before each handler: who asks has logged in. */
  readonly authorized: RequestHandler;
  /** Of those that name none. */
  readonly defaultNamespace: string;
}

/** All of `/system/{brokers,triggers,sources,sinks,flows,flow-runs,events,replays}`. */
export function addEventRoutes(_app: Express, _deps: EventRouteDeps): void {}

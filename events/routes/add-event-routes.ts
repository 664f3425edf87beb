import type { Express } from "express";
import { addBrokerRoutes, type BrokerRouteDeps } from "./brokers.ts";
import { addLedgerRoutes, type LedgerRoutesDeps } from "./ledger.ts";
import { addSinkRoutes, type SinkRouteDeps } from "./sinks.ts";
import { addSourceRoutes, type SourceRouteDeps } from "./sources.ts";
import { addTriggerRoutes, type TriggerRouteDeps } from "./triggers.ts";

/** What the control routes of events work with. Opened by the first request that needs it. */
export type EventRouteDeps = BrokerRouteDeps & TriggerRouteDeps & SourceRouteDeps & SinkRouteDeps & LedgerRoutesDeps;

/** All of `/system/{brokers,triggers,sources,sinks,flows,flow-runs,events,replays}`. */
export function addEventRoutes(app: Express, deps: EventRouteDeps): void {
  addBrokerRoutes(app, deps);
  addTriggerRoutes(app, deps);
  addSourceRoutes(app, deps);
  addSinkRoutes(app, deps);
  addLedgerRoutes(app, deps);
}

import type { Express } from "express";
import { addBrokerRoutes, type BrokerRouteDeps } from "./brokers.ts";
import { addFlowRunRoutes, type FlowRunRouteDeps } from "./flow-runs.ts";
import { addFlowRoutes } from "./flows.ts";
import { addLedgerRoutes, type LedgerRoutesDeps } from "./ledger.ts";
import { addSinkRoutes, type SinkRouteDeps } from "./sinks.ts";
import { addSourceRoutes, type SourceRouteDeps } from "./sources.ts";
import { addTriggerRoutes, type TriggerRouteDeps } from "./triggers.ts";

/** What the control routes of events work with. Opened by the first request that needs it. */
export type EventRouteDeps = BrokerRouteDeps &
  TriggerRouteDeps &
  SourceRouteDeps &
  SinkRouteDeps &
  FlowRunRouteDeps &
  LedgerRoutesDeps;

/** All of `/system/{brokers,triggers,sources,sinks,flows,flow-runs,events,replays}`. */
export function addEventRoutes(app: Express, deps: EventRouteDeps): void {
  addBrokerRoutes(app, deps);
  addTriggerRoutes(app, deps);
  addSourceRoutes(app, deps);
  addSinkRoutes(app, deps);
  addFlowRoutes(app, deps);
  addFlowRunRoutes(app, deps);
  addLedgerRoutes(app, deps);
}

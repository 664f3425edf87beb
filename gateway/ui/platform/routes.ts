import type { Express, RequestHandler } from "express";
import type { UiConfiguration } from "../../../contract/ui/platform.ts";
import { route, sendJson } from "../../../kit/respond.ts";
import type { KnownGateways } from "./gateways.ts";

export interface PlatformRoutesDeps {
  readonly gateways: Pick<KnownGateways, "list">;
  readonly configuration: UiConfiguration;
  readonly authorized: RequestHandler;
}

/** What the platform consists of, and how this gateway is configured. */
export function addPlatformRoutes(app: Express, { gateways, configuration, authorized }: PlatformRoutesDeps): void {
  const list: RequestHandler = async (_req, res) => {
    sendJson(res.set("Cache-Control", "no-store"), await gateways.list());
  };
  const show: RequestHandler = (_req, res) => {
    sendJson(res.set("Cache-Control", "no-store"), configuration);
  };
  route(app, "/ui/api/gateways", { GET: [authorized, list] });
  route(app, "/ui/api/configuration", { GET: [authorized, show] });
}

import type { Express, RequestHandler } from "express";
import { route, sendJson } from "../../../kit/respond.ts";
import type { Offers } from "./offers.ts";
import type { Templates } from "./templates.ts";

export interface DeployRoutesDeps {
  readonly store: Pick<Offers, "list" | "sources">;
  readonly templates: Pick<Templates, "list" | "get">;
  readonly authorized: RequestHandler;
}

/** What the page deploys from: functions of a store, and templates for what is uploaded. */
export function addDeployRoutes(app: Express, { store, templates, authorized }: DeployRoutesDeps): void {
  const get = (load: (name: string) => Promise<object>) => {
    const answer: RequestHandler<{ name?: string }> = async (req, res) => {
      res.set("Cache-Control", "no-store");
      sendJson(res, await load(req.params.name ?? ""));
    };
    return { GET: [authorized, answer as RequestHandler] };
  };
  route(
    app,
    "/ui/api/store",
    get(async () => await store.list()),
  );
  route(
    app,
    "/ui/api/store/:name",
    get(async (name) => await store.sources(name)),
  );
  route(
    app,
    "/ui/api/templates",
    get(async () => await templates.list()),
  );
  route(
    app,
    "/ui/api/templates/:name",
    get(async (name) => await templates.get(name)),
  );
}

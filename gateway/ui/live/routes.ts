import type { Express, RequestHandler } from "express";
import { FaasError } from "../../../contract/errors.ts";
import { UI_TOPICS, type UiTopic } from "../../../contract/ui/stream.ts";
import { parametersOf, queryText, route, sendJson } from "../../../kit/respond.ts";
import type { LiveStream } from "./live-stream.ts";
import type { KnownPast } from "./past.ts";
import type { PastCalls } from "./past-calls.ts";

export interface LiveRoutesDeps {
  readonly stream: Pick<LiveStream, "add">;
  readonly past: Pick<KnownPast, "series">;
  readonly calls: Pick<PastCalls, "list" | "detail">;
  readonly authorized: RequestHandler;
}

/** What the dashboard is told of what goes on, and of what was. */
export function addLiveRoutes(app: Express, { stream, past, calls, authorized }: LiveRoutesDeps): void {
  const follow: RequestHandler = (req, res) =>
    stream.add(res, readTopics(queryText(req, "topics")), res.locals.holds as (() => boolean) | undefined);
  route(app, "/ui/api/stream", { GET: [authorized, follow] });
  const series: RequestHandler = async (req, res) => {
    res.set("Cache-Control", "no-store");
    sendJson(res, await past.series(parametersOf(req)));
  };
  route(app, "/ui/api/series", { GET: [authorized, series] });
  const list: RequestHandler = async (req, res) => {
    res.set("Cache-Control", "no-store");
    sendJson(res, await calls.list(parametersOf(req)));
  };
  route(app, "/ui/api/calls", { GET: [authorized, list] });
  const detail: RequestHandler<{ id: string }> = async (req, res) => {
    res.set("Cache-Control", "no-store");
    sendJson(res, await calls.detail(req.params.id));
  };
  route(app, "/ui/api/calls/:id", { GET: [authorized, detail as RequestHandler] });
}

function readTopics(text: string | undefined): UiTopic[] {
  const names = new Set(text?.split(",") ?? UI_TOPICS);
  const known = UI_TOPICS.filter((topic) => names.has(topic));
  if (known.length === names.size) return known;
  throw new FaasError("invalid", `topics: must be some of ${UI_TOPICS.join(", ")}, separated by commas`);
}

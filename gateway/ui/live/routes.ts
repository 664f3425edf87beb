import type { Express, RequestHandler } from "express";
import { FaasError } from "../../../contract/errors.ts";
import { UI_TOPICS, type UiTopic } from "../../../contract/ui/stream.ts";
import { queryText, route } from "../../../kit/respond.ts";
import type { LiveStream } from "./live-stream.ts";

export interface LiveRoutesDeps {
  readonly stream: Pick<LiveStream, "add">;
  readonly authorized: RequestHandler;
}

/** `GET /ui/api/stream?topics=functions,queue`. */
export function addLiveRoutes(app: Express, { stream, authorized }: LiveRoutesDeps): void {
  const follow: RequestHandler = (req, res) => stream.add(res, readTopics(queryText(req, "topics")));
  route(app, "/ui/api/stream", { GET: [authorized, follow] });
}

function readTopics(text: string | undefined): UiTopic[] {
  const names = new Set(text?.split(",") ?? UI_TOPICS);
  const known = UI_TOPICS.filter((topic) => names.has(topic));
  if (known.length === names.size) return known;
  throw new FaasError("invalid", `topics: must be some of ${UI_TOPICS.join(", ")}, separated by commas`);
}

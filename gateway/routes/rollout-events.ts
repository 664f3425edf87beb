import type { ServerResponse } from "node:http";
import type { Express, Request, RequestHandler } from "express";
import { PATHS } from "../../contract/paths.ts";
import type { ListedRollout } from "../../contract/versions/requests.ts";
import { MISSED_BEATS } from "../../kit/ndjson.ts";
import { queryText } from "../../kit/respond.ts";
import { parseTarget } from "../core/function-path.ts";
import type { RolloutReader, RolloutWatch } from "../rollouts/rollout-watch.ts";

export interface RolloutEventsDeps {
  readonly watch: Pick<RolloutWatch, "add">;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

export const EVENT_STREAM = "text/event-stream";

/** Between two signs of life. */
const BEAT_MS = 15_000;

/**
 * `GET /system/function/NAME/rollout` for those who ask for an event stream: `rollout` events, the first with how it stands
 * now. Others get the provider's own answer.
 */
export function addRolloutEvents(app: Express, { watch, authorized, defaultNamespace }: RolloutEventsDeps): void {
  const stream: RequestHandler = async (req, res, next) => {
    if (!wantsEvents(req)) return next();
    const { name, namespace } = parseTarget(String(req.params.name), defaultNamespace);
    const events = new EventReader(res);
    const end = await watch.add({ name, namespace: queryText(req, "namespace") ?? namespace }, events);
    if (res.destroyed) end();
    else res.once("close", end);
  };
  app.get(`${PATHS.function}:name/rollout`, authorized, stream);
}

function wantsEvents({ headers }: Request): boolean {
  const types = headers.accept?.split(",").map((range) => range.split(";")[0]?.trim().toLowerCase());
  return types?.includes(EVENT_STREAM) ?? false;
}

/** One who reads. Who is slower than the changes gets the newest of them, and who reads nothing at all is cut. */
class EventReader implements RolloutReader {
  readonly #res: ServerResponse;
  #waiting: ListedRollout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #missed = 0;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  tell(listed: ListedRollout): void {
    const res = this.#res;
    if (res.destroyed || res.writableEnded) return;
    if (!res.headersSent) this.#begin();
    if (res.writableNeedDrain) this.#waiting = listed;
    else res.write(`event: rollout\nid: ${listed.generation}\ndata: ${JSON.stringify(listed)}\n\n`);
  }

  #begin(): void {
    const res = this.#res;
    res.writeHead(200, { "Content-Type": EVENT_STREAM, "Cache-Control": "no-store", "X-Accel-Buffering": "no" });
    res.on("drain", () => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting) this.tell(waiting);
    });
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    res.once("close", () => clearInterval(this.#timer));
  }

  #beat(): void {
    const res = this.#res;
    if (!res.writableNeedDrain) {
      this.#missed = 0;
      res.write(": alive\n\n");
    } else if (++this.#missed >= MISSED_BEATS) res.destroy();
  }

  end(): void {
    if (this.#res.headersSent) this.#res.end();
  }
}

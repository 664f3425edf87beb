import type { Express, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { parametersOf, route } from "../../kit/respond.ts";
import { readCallName } from "../core/call-list-query.ts";
import type { CallbackRequest, Queue } from "../queue/queue.ts";
import { inTime } from "./in-time.ts";

export interface QueueCallbackDeps {
  readonly queue: Pick<Queue, "callBack">;
  readonly authorized: RequestHandler;
}

const TIMEOUT_MS = 10_000;

/** `POST /system/queue/call/callback?id=` → 202: the callback of a call that has ended is sent once more. */
export function addQueueCallback(app: Express, { queue, authorized }: QueueCallbackDeps): void {
  const callBack: RequestHandler = async (req, res) => {
    const id = readCallName(parametersOf(req));
    const answer = await inTime(queue.callBack(id), TIMEOUT_MS);
    if (answer !== "queued") throw refusal(answer, id);
    res.status(202).end();
  };
  route(app, PATHS.callCallback, { POST: [authorized, callBack] });
}

function refusal(answer: Exclude<CallbackRequest, "queued">, id: string): FaasError {
  switch (answer) {
    case "unknown":
      return new FaasError("notFound", `no call ${JSON.stringify(id)} is known`, { code: "unknown_call" });
    case "open":
      return new FaasError("conflict", "the call has not ended; its callback follows by itself", { code: "not_ended" });
    case "noCallback":
      return new FaasError(
        "unprocessable",
        "the call has no callback to send again: it was sent without X-Callback-Url, was cancelled, or is a batch",
        { code: "no_callback" },
      );
    case "noResult":
      return new FaasError(
        "conflict",
        "what the callback is to tell is not kept (any more): async_result_ttl and async_max_result say which results are",
        { code: "result_gone" },
      );
  }
}

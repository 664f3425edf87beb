import type { IncomingMessage, ServerResponse } from "node:http";
import { clientOf } from "../../http/client-address.ts";
import type { CallKind, CallObserver, ObservedCall } from "./call-record.ts";

/** nginx's code for a caller that left; nobody receives it. */
const CALLER_LEFT = 499;

/** Has an observer told of a request that is accepted now and acted on later, once it has been answered. */
export function observeIntake(
  observer: CallObserver,
  kind: Extract<CallKind, "intake" | "event">,
  req: IncomingMessage,
  res: ServerResponse,
): ObservedCall {
  const { method = "", url = "", headers } = req;
  const record = observer.begin({ kind, method, url, headers, client: clientOf(req) });
  res.once("close", () => {
    record.status = res.writableFinished ? res.statusCode : CALLER_LEFT;
    observer.end(record);
  });
  return record;
}

import type { Express, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { parametersOf, route, sendJson } from "../../kit/respond.ts";
import { readBodyQuestion, readCallName, readCallPage } from "../core/call-list-query.ts";
import type { CallStatus, Queue } from "../queue/queue.ts";
import { inTime } from "./in-time.ts";
import { buildCallDetails, buildCallList } from "./reports.ts";

export interface QueueCallsDeps {
  readonly queue: Pick<Queue, "list" | "find" | "request" | "cancel" | "deadLetters">;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

const READ_TIMEOUT_MS = 10_000;

/** How large the body is of which an answer holds the beginning. */
const BODY_BYTES_HEADER = "X-Faaslane-Body-Bytes";

/** `GET /system/queue/calls`, `GET` and `DELETE` (cancel) `/system/queue/call?id=`, and `GET /system/queue/call/body?id=`. */
export function addQueueCalls(app: Express, { queue, authorized, defaultNamespace }: QueueCallsDeps): void {
  const list: RequestHandler = async (req, res) => {
    const { filter, page } = readCallPage(parametersOf(req), defaultNamespace);
    const found = await inTime(queue.list(filter, page), READ_TIMEOUT_MS);
    sendJson(res.set("Cache-Control", "no-store"), buildCallList(found));
  };
  const show: RequestHandler = async (req, res) => {
    const id = readCallName(parametersOf(req));
    const status = await inTime(findOrDead(queue, id), READ_TIMEOUT_MS);
    // It may end between the two looks: then this is what is left to tell.
    const request = await inTime(queue.request(status.id, 0), READ_TIMEOUT_MS);
    sendJson(res.set("Cache-Control", "no-store"), buildCallDetails(status, request));
  };
  const cancel: RequestHandler = async (req, res) => {
    const id = readCallName(parametersOf(req));
    const status = await inTime(queue.find(id), READ_TIMEOUT_MS);
    if (!status || !(await inTime(queue.cancel(status.id), READ_TIMEOUT_MS))) throw unknownCall(id);
    res.status(202).set("X-Call-Id", status.callId).end();
  };
  const body: RequestHandler = async (req, res) => {
    const { id, limitBytes } = readBodyQuestion(parametersOf(req));
    const status = await inTime(findOrDead(queue, id), READ_TIMEOUT_MS);
    const request = await inTime(queue.request(status.id, limitBytes), READ_TIMEOUT_MS);
    if (!request) {
      throw new FaasError("notFound", "the request of the call is not kept any more", { code: "no_request" });
    }
    // A caller's own bytes, shown by the origin of the platform: never as a page.
    res.set({
      "Content-Type": "application/octet-stream",
      "Content-Disposition": 'attachment; filename="body"',
      "Content-Security-Policy": "default-src 'none'; sandbox",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-store",
      [BODY_BYTES_HEADER]: String(request.bodyBytes),
    });
    const { buffer, byteOffset, byteLength } = request.body;
    res.end(Buffer.from(buffer, byteOffset, byteLength));
  };
  route(app, PATHS.calls, { GET: [authorized, list] });
  route(app, PATHS.call, { GET: [authorized, show], DELETE: [authorized, cancel] });
  route(app, PATHS.callBody, { GET: [authorized, body] });
}

/** @throws {FaasError} `notFound` */
async function findOrDead(queue: Pick<Queue, "find" | "deadLetters">, id: string): Promise<CallStatus> {
  const status = await queue.find(id);
  if (status) return status;
  // What is known of a dead call is forgotten before its letter is.
  const [letter] = (await queue.deadLetters.list({ id }, { limit: 1 })).items;
  if (!letter) throw unknownCall(id);
  const { diedAt, bodyBytes: _, ...known } = letter;
  return { ...known, state: "dead", finishedAt: diedAt };
}

function unknownCall(id: string): FaasError {
  return new FaasError("notFound", `no call ${JSON.stringify(id)} is known`, { code: "unknown_call" });
}

import type { ErrorRequestHandler, Express, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { parametersOf, route, sendJson } from "../../kit/respond.ts";
import { readDeadLetterPage, readDeadLetterSelection, readFunction, readPurge } from "../core/dead-letter-query.ts";
import type { Queue } from "../queue/queue.ts";
import type { QueueStats } from "../queue/stats.ts";
import { inTime } from "./in-time.ts";
import { addQueueCallback } from "./queue-callback.ts";
import { addQueueCalls } from "./queue-calls.ts";
import { buildDeadLetterList } from "./reports.ts";

export interface QueueAdminDeps {
  readonly queue: Pick<Queue, "stats" | "purge" | "list" | "find" | "request" | "cancel" | "callBack" | "deadLetters">;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

/** Replaying and dropping thousands takes its time; the answer reports how many were affected. */
const CHANGE_TIMEOUT_MS = 60_000;
const READ_TIMEOUT_MS = 10_000;

/**
 * `GET` and `DELETE` (purge) `/system/queue`, `GET`, `POST` (replay) and `DELETE` (drop) `/system/queue/dead-letters`, and
 * what {@link addQueueCalls} and {@link addQueueCallback} add.
 */
export function addQueueAdmin(app: Express, { queue, authorized, defaultNamespace }: QueueAdminDeps): void {
  const { deadLetters } = queue;
  const status: RequestHandler = async (req, res) => {
    const ref = readFunction(parametersOf(req), defaultNamespace);
    const stats = await inTime(queue.stats(), READ_TIMEOUT_MS);
    sendJson(res, ref ? { ...stats, functions: stats.functions.filter(isOf(ref)) } : stats);
  };
  const purge: RequestHandler = async (req, res) => {
    const ref = readPurge(parametersOf(req), defaultNamespace);
    sendJson(res, { count: await inTime(queue.purge(ref), CHANGE_TIMEOUT_MS) });
  };
  const list: RequestHandler = async (req, res) => {
    const { filter, page } = readDeadLetterPage(parametersOf(req), defaultNamespace, Date.now());
    sendJson(res, buildDeadLetterList(await inTime(deadLetters.list(filter, page), READ_TIMEOUT_MS)));
  };
  const change =
    (action: "replay" | "drop"): RequestHandler =>
    async (req, res) => {
      const filter = readDeadLetterSelection(parametersOf(req), defaultNamespace, Date.now());
      sendJson(res, { count: await inTime(deadLetters[action](filter), CHANGE_TIMEOUT_MS) });
    };
  route(app, PATHS.queue, { GET: [authorized, status], DELETE: [authorized, purge] });
  route(app, PATHS.deadLetters, {
    GET: [authorized, list],
    POST: [authorized, change("replay")],
    DELETE: [authorized, change("drop")],
  });
  addQueueCalls(app, { queue, authorized, defaultNamespace });
  addQueueCallback(app, { queue, authorized });
  app.use(PATHS.queue, sayWhenToComeBack);
}

const sayWhenToComeBack: ErrorRequestHandler = (error, _req, res, next) => {
  if (error instanceof FaasError && error.kind === "unavailable") res.set("Retry-After", "1");
  next(error);
};

function isOf({ name, namespace }: { readonly name: string; readonly namespace: string }) {
  return (other: QueueStats["functions"][number]) => other.name === name && other.namespace === namespace;
}

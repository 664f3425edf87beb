import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { decodeReplayRequest } from "../../contract/events/replay-spec.ts";
import { PATHS } from "../../contract/paths.ts";
import { clientGone, sendNdjson } from "../../kit/ndjson.ts";
import { asksForJson, bodyJson, queryText, rawBody, route, sendJson } from "../../kit/respond.ts";
import { within } from "../../kit/within.ts";
import { readEventName, readEventPage, wantsJsonWhy } from "../ledger/event-query.ts";
import { explain } from "../ledger/explain.ts";
import { findEvents, type NamedEvents } from "../ledger/find-events.ts";
import { EventFollower } from "../ledger/follow.ts";
import { type EventRedaction, redactRecord } from "../ledger/redact-event.ts";
import type { Replays } from "../ledger/replays.ts";
import { buildEventReport, buildEventSummary } from "../ledger/report.ts";
import { unknownEvent } from "../ledger/unknown.ts";
import type { EventQuery, EventStore } from "../store/event-store.ts";
import { readAskedNamespace, readResourceName } from "./names.ts";

export interface LedgerRoutesDeps {
  readonly store: Pick<EventStore, "list" | "find">;
  readonly replays: Pick<Replays, "create" | "dryRun" | "list" | "get" | "remove">;
  /** What is not shown of events. */
  readonly redaction: EventRedaction;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
  readonly now?: () => number;
}

const TIMEOUT_MS = 10_000;
/** A dry run looks at many. */
const DRY_RUN_TIMEOUT_MS = 30_000;
const BEAT_MS = 15_000;
/** Also says that the following has begun. */
const SIGN_OF_LIFE = {};
/** Those who follow at a time. */
const MAX_FOLLOWERS = 50;
/** Events that share one id, in an answer. */
const MAX_ALIKE = 100;
const MAX_REPLAY_BYTES = 256 * 1024;

/** `GET /system/events`, `/system/events/ID` and `/system/events/ID/why`, and `/system/replays[/NAME]`. */
export function addLedgerRoutes(app: Express, deps: LedgerRoutesDeps): void {
  addEvents(app, deps);
  addReplays(app, deps);
}

function addEvents(
  app: Express,
  { store, redaction, authorized, defaultNamespace, now = Date.now }: LedgerRoutesDeps,
): void {
  let followers = 0;
  const follow = async (query: EventQuery, res: Parameters<RequestHandler>[1]) => {
    if (followers >= MAX_FOLLOWERS) {
      throw new FaasError("overloaded", `${MAX_FOLLOWERS} clients follow the events already`);
    }
    followers++;
    try {
      const signal = clientGone(res);
      const follower = new EventFollower(store, query);
      await inTime(follower.begin());
      const summaries = async function* () {
        yield SIGN_OF_LIFE;
        for await (const record of follower.follow(signal)) {
          yield buildEventSummary(redactRecord(record, redaction));
        }
      };
      res.set("Cache-Control", "no-store");
      await sendNdjson(res, summaries(), { signal, heartbeat: { everyMs: BEAT_MS, value: SIGN_OF_LIFE } });
    } finally {
      followers--;
    }
  };
  const list: RequestHandler = async (req, res) => {
    const asked = readEventPage(parametersOf(req), defaultNamespace, now());
    if (asked.follow) return await follow(asked.query, res);
    const { events, next } = await inTime(store.list(asked.query, asked.page));
    const items = events.map((record) => buildEventSummary(redactRecord(record, redaction)));
    sendJson(res.set("Cache-Control", "no-store"), { items, ...(next !== undefined && { next }) });
  };
  const show: RequestHandler = async (req, res) => {
    const found = await inTime(findAsked(store, req, defaultNamespace));
    const [record, ...others] = found.events;
    const answer =
      record && others.length === 0
        ? buildEventReport(redactRecord(record, redaction))
        : {
            items: found.events.map((each) => buildEventSummary(redactRecord(each, redaction))),
            ...(found.next !== undefined && { next: found.next }),
          };
    sendJson(res.set("Cache-Control", "no-store"), answer);
  };
  const why: RequestHandler = async (req, res) => {
    const json = wantsJsonWhy(parametersOf(req)) || asksForJson(req.headers.accept);
    const { events } = await inTime(findAsked(store, req, defaultNamespace, ["format"]));
    const answers = events.map((record) => ({
      ref: record.event.ref,
      lines: explain(redactRecord(record, redaction), now()),
    }));
    res.set("Cache-Control", "no-store");
    if (json) return sendJson(res, { items: answers });
    const text = answers.map(({ lines }) => `${lines.join("\n")}\n`).join("\n");
    res.set("X-Content-Type-Options", "nosniff").type("text/plain").send(text);
  };
  route(app, PATHS.events, { GET: [authorized, list] });
  route(app, `${PATHS.events}/:id`, { GET: [authorized, show] });
  route(app, `${PATHS.events}/:id/why`, { GET: [authorized, why] });
}

/** By its ref, or those that have the id. @throws {FaasError} `notFound` */
async function findAsked(
  store: LedgerRoutesDeps["store"],
  req: Request,
  defaultNamespace: string,
  further: readonly string[] = [],
): Promise<NamedEvents> {
  const { namespace, source } = readEventName(parametersOf(req), defaultNamespace, further);
  const name = String(req.params.id);
  const found = await findEvents(store, namespace, { name, source }, MAX_ALIKE);
  if (found.events.length === 0) throw unknownEvent(name);
  return found;
}

function addReplays(app: Express, { replays, authorized, defaultNamespace }: LedgerRoutesDeps): void {
  const create: RequestHandler = async (req, res) => {
    const request = decodeReplayRequest(bodyJson(req, "failed to unmarshal replay"));
    const namespace = readAskedNamespace(req, defaultNamespace);
    if (request.dryRun) {
      sendJson(res, await inTime(replays.dryRun(request, namespace), DRY_RUN_TIMEOUT_MS));
    } else sendJson(res, await inTime(replays.create(request, namespace)), 202);
  };
  const list: RequestHandler = async (req, res) => {
    sendJson(res, await inTime(replays.list(readAskedNamespace(req, defaultNamespace))));
  };
  const show: RequestHandler = async (req, res) => {
    sendJson(res, await inTime(replays.get(readAskedNamespace(req, defaultNamespace), readResourceName(req))));
  };
  const remove: RequestHandler = async (req, res) => {
    const namespace = readAskedNamespace(req, defaultNamespace);
    const cancelled = await inTime(replays.remove(namespace, readResourceName(req)));
    if (cancelled) sendJson(res, cancelled, 202);
    else res.status(204).end();
  };
  route(app, PATHS.replays, {
    GET: [authorized, list],
    POST: [authorized, rawBody(MAX_REPLAY_BYTES), create],
  });
  route(app, `${PATHS.replays}/:name`, { GET: [authorized, show], DELETE: [authorized, remove] });
}

/** As they were given: of a repeated one the last counts, empty ones are as if absent. */
function parametersOf(req: Request): Readonly<Record<string, string>> {
  const given = Object.keys(req.query).map((name) => [name, queryText(req, name)]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as Record<string, string>;
}

/** @throws {FaasError} `unavailable` when the store takes too long; the work goes on then */
async function inTime<T>(work: Promise<T>, timeoutMs = TIMEOUT_MS): Promise<T> {
  const done = work.then((value) => ({ value }));
  const answer = await within(timeoutMs, done);
  if (!answer) throw new FaasError("unavailable", "the store of events does not answer");
  return answer.value;
}

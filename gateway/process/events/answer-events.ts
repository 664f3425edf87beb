import { buildEventRedaction } from "../../../events/ledger/redact-event.ts";
import { addEventRoutes } from "../../../events/routes/add-event-routes.ts";
import { BROKER_PREFIX, BrokerIngress } from "../../../events/routes/broker.ts";
import { WebhookIngress } from "../../../events/routes/webhook.ts";
import { createApp } from "../../../kit/respond.ts";
import type { EventsParts } from "../../app.ts";
import { BodyReader } from "../../proxy/body-reader.ts";
import { observeIntake } from "../../telemetry/observe-intake.ts";
import type { EventsAtWork, EventsDeps } from "./events-parts.ts";

/** Bytes of events in memory that are being sent. */
const MAX_BUFFERED_BYTES = 64 * 1024 ** 2;
const MAX_BODY_BYTES = 96 * 1024 ** 2;

/** What of events answers requests. */
export function answerEvents(
  { config, isAuthorized, meter, observer, defaultNamespace, log }: EventsDeps,
  parts: EventsAtWork,
): EventsParts {
  const {
    events,
    resources,
    brokers,
    boundSinks,
    triggers,
    replays,
    flows,
    transforms,
    types,
    runner,
    statuses,
    sinks,
    sinkTypes,
  } = parts;
  const bodies = new BodyReader({ limitBytes: MAX_BODY_BYTES, totalBytes: MAX_BUFFERED_BYTES, what: "events" });
  const ingress = new BrokerIngress({
    events,
    brokers,
    sinks: boundSinks,
    bodies,
    auth: config.ingressAuth,
    isAuthorized,
    defaultNamespace,
    count: meter.received,
    log,
  });
  const webhooks = new WebhookIngress({ runner, bodies, maxBytes: events.maxEventBytes, defaultNamespace, log });
  const app = createApp();
  addEventRoutes(app, {
    events,
    store: events,
    resources,
    brokers,
    triggers,
    replays,
    flows: flows.triggers,
    types,
    runner,
    sinks,
    sinkTypes,
    defaultNamespace,
    ...(statuses && { statuses }),
    redaction: buildEventRedaction(config.redact),
    checkTransform: (expression, field) => transforms.check(expression, field),
    // Nobody comes here without having logged in.
    authorized: (_req, _res, next) => next(),
  });
  return {
    handle: async (req, res) => {
      const record = observer?.watching ? observeIntake(observer, "event", req, res) : undefined;
      if (!(req.url as string).startsWith(BROKER_PREFIX)) return await webhooks.handle(req, res);
      const told = record && observer ? observer.upstreamHeaders(record, [...req.rawHeaders]) : req.rawHeaders;
      const code = await ingress.handle(req, res, told);
      if (record) record.errorCode = code;
    },
    control: app,
  };
}

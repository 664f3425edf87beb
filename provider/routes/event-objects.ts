import type { RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import {
  decodeEventObjectRefs,
  decodeEventObjectStatuses,
  type EventObjectsEvent,
} from "../../contract/events/event-object.ts";
import { clientGone, type Heartbeat, sendNdjson } from "../../kit/ndjson.ts";
import { bodyJson, sendJson } from "../../kit/respond.ts";
import type { EventObjectStore } from "../backends/backend.ts";

export interface EventObjectStreamOptions {
  readonly heartbeatMs: number;
  /** Aborted when the provider closes. */
  readonly closing: AbortSignal;
}

/** `GET /system/event-objects` → 200 with an NDJSON stream that ends only when either side leaves; fails as `unsupported`. */
export function streamEventObjects(
  objects: EventObjectStore | undefined,
  { heartbeatMs, closing }: EventObjectStreamOptions,
): RequestHandler {
  const heartbeat: Heartbeat = {
    everyMs: heartbeatMs,
    value: { type: "heartbeat" },
    begins: (item) => (item as EventObjectsEvent).type === "kinds",
  };
  return async (_req, res) => {
    const signal = AbortSignal.any([closing, clientGone(res)]);
    await sendNdjson(res, required(objects).watch(signal), { signal, heartbeat });
  };
}

/** `PUT /system/event-objects/status` with `{ statuses }` → 200 with `{ outcomes }`; fails as `invalid` or `unsupported`. */
export function reportEventObjects(objects: EventObjectStore | undefined): RequestHandler {
  return async (req, res) => {
    const store = required(objects);
    sendJson(res, { outcomes: await store.report(decodeEventObjectStatuses(bodyJson(req, "statuses"))) });
  };
}

/** `POST /system/event-objects/gone` with `{ objects }` → 200 with those that are gone; fails as `invalid` or `unsupported`. */
export function findGoneEventObjects(objects: EventObjectStore | undefined): RequestHandler {
  return async (req, res) => {
    const store = required(objects);
    sendJson(res, { objects: await store.gone(decodeEventObjectRefs(bodyJson(req, "objects"))) });
  };
}

function required(objects: EventObjectStore | undefined): EventObjectStore {
  if (objects) return objects;
  throw new FaasError("unsupported", "event objects: this provider runs no functions on a cluster");
}

import { z } from "zod";
import { MAX_JSON_DEPTH } from "../bounded-json.ts";
import { decode, maybe } from "../decode.ts";
import { isDnsLabel, isDnsSubdomain } from "../names.ts";

/** Kinds of objects of a cluster that declare events' documents, by the kinds of the documents. */
export const OBJECT_KINDS = {
  broker: "Broker",
  trigger: "Trigger",
  source: "Source",
  sink: "Sink",
  flow: "Flow",
} as const;
export type DeclaredKind = keyof typeof OBJECT_KINDS;
export const DECLARED_KINDS = Object.keys(OBJECT_KINDS) as readonly DeclaredKind[];

const kind = z.enum(DECLARED_KINDS as [DeclaredKind, ...DeclaredKind[]]);
const address = { kind, namespace: z.string(), name: z.string() };

/** Why an object cannot be taken as it is. */
const problem = z.object({
  /** One word, as conditions have it. */
  reason: z.string(),
  message: z.string(),
  /** What it said before, when that could be taken, goes on. */
  keeps: z.boolean(),
});
export type ObjectProblem = z.output<typeof problem>;

const eventObject = z.object({
  ...address,
  uid: z.string(),
  /** Goes up with each change of its spec. */
  generation: z.number().int(),
  /** Absent where there is a problem. */
  spec: maybe(z.unknown()),
  problem: maybe(problem),
});
/** An object that declares a document of the same kind, namespace and name. */
export type EventObject = z.output<typeof eventObject>;

/**
 * What is known of a kind: all objects of it have been told; the cluster does not have the kind; or neither, as it cannot be
 * looked at.
 */
const knowledge = z.enum(["listed", "absent", "unknown"]);
export type KindKnowledge = z.output<typeof knowledge>;
const kinds = z.object({
  broker: knowledge,
  trigger: knowledge,
  source: knowledge,
  sink: knowledge,
  flow: knowledge,
} satisfies Record<DeclaredKind, typeof knowledge>);
export type KnownKinds = z.output<typeof kinds>;

const eventObjectsEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("object"), object: eventObject }),
  z.object({ type: z.literal("removed"), object: z.object({ ...address, uid: z.string() }) }),
  z.object({ type: z.literal("kinds"), kinds }),
  z.object({ type: z.literal("heartbeat") }),
]);
/**
 * One line of `GET /system/event-objects`: each object, then `kinds`, which tells of what kinds these were all; from then on
 * changes, `kinds` again when that changes, and a `heartbeat` every 15 s.
 */
export type EventObjectsEvent = z.output<typeof eventObjectsEvent>;

/** @throws {FaasError} `invalid` */
export function decodeEventObjectsEvent(value: unknown): EventObjectsEvent {
  return decode(eventObjectsEvent, value, "event objects");
}

/** Statuses in one request. */
export const MAX_STATUSES = 200;
const MAX_CONDITIONS = 10;
const MAX_MESSAGE_CHARS = 2_000;

const condition = z.object({
  type: z.string().regex(/^[A-Z][A-Za-z]{0,62}$/, { error: "must be a word such as Ready" }),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().regex(/^[A-Z][A-Za-z]{0,127}$/, { error: "must be a word such as Invalid" }),
  message: z.string().min(1).max(MAX_MESSAGE_CHARS),
});
/** As Kubernetes has them; what is written besides is the provider's to say. */
export type ObjectCondition = z.output<typeof condition>;

/** They become part of a path at the cluster's API. */
const label = z.string().refine(isDnsLabel, { error: "must be a namespace" });
const objectName = z.string().refine(isDnsSubdomain, { error: "must be the name of an object: a DNS subdomain" });
const ref = z.object({ kind, namespace: label, name: objectName, uid: z.string().min(1).max(100) });
const objectStatus = z.object({
  ...ref.shape,
  /** Of the object that it is about. */
  generation: z.number().int().nonnegative(),
  conditions: z.array(condition).min(1).max(MAX_CONDITIONS),
  /** What its kind has besides. */
  fields: z.object({
    subscriberUri: maybe(z.string().max(MAX_MESSAGE_CHARS)),
    deadLetterSinkUri: maybe(z.string().max(MAX_MESSAGE_CHARS)),
    /** Of a broker: where events are sent to. */
    path: maybe(z.string().max(MAX_MESSAGE_CHARS)),
    /** Of a source. */
    state: maybe(z.string().max(63)),
    lag: maybe(z.number()),
    /** RFC 3339. */
    lastEventTime: maybe(z.string().max(40)),
    lastError: maybe(z.string().max(MAX_MESSAGE_CHARS)),
  }),
});
/** How what an object declares is. */
export type EventObjectStatus = z.output<typeof objectStatus>;
export type ObjectStatusFields = EventObjectStatus["fields"];

const statuses = z.object({ statuses: z.array(objectStatus).max(MAX_STATUSES) });

/** @throws {FaasError} `invalid` */
export function decodeEventObjectStatuses(value: unknown): EventObjectStatus[] {
  return decode(statuses, value, "statuses").statuses;
}

const outcome = z.object({
  ...address,
  /** It has been written; it was so already; there is no such object any more; or it could not be written now. */
  outcome: z.enum(["written", "same", "gone", "failed"]),
  error: maybe(z.string()),
});
export type StatusOutcome = z.output<typeof outcome>;

/** What `PUT /system/event-objects/status` answers. @throws {FaasError} `invalid` */
export function decodeStatusOutcomes(value: unknown): StatusOutcome[] {
  return decode(z.object({ outcomes: z.array(outcome) }), value, "outcomes").outcomes;
}

/** An object that was there. */
export type EventObjectRef = z.output<typeof ref>;
const refs = z.object({ objects: z.array(ref).max(MAX_STATUSES) });

/** What `POST /system/event-objects/gone` takes and answers. @throws {FaasError} `invalid` */
export function decodeEventObjectRefs(value: unknown): EventObjectRef[] {
  return decode(refs, value, "objects").objects;
}

/** Of a spec as JSON text; documents take no more. */
export const MAX_OBJECT_BYTES = 256 * 1024;
/** Of a spec: it is told within other JSON, which is not read when it is too deep. */
export const MAX_OBJECT_DEPTH = MAX_JSON_DEPTH - 10;

/** `Trigger shop/orders`, as people are told of an object. */
export function describeObject({
  kind,
  namespace,
  name,
}: {
  kind: DeclaredKind;
  namespace: string;
  name: string;
}): string {
  return `${OBJECT_KINDS[kind]} ${namespace}/${name}`;
}

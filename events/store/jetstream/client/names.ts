import { createHash, randomBytes, randomInt } from "node:crypto";
import type { BrokerRef } from "../../event-store.ts";

/** Streams; see the README beside for what lies where. */
export const EVENT_STREAMS = {
  log: "FAASLANE_EVENTS",
  deliveries: "FAASLANE_EVENT_DELIVERIES",
  records: "FAASLANE_EVENT_RECORDS",
  resources: "FAASLANE_EVENT_RESOURCES",
} as const;

const ROOT = "FAASLANE.events";
export const CURSOR_SUBJECT = `${ROOT}.cursor`;

/** Not stored: between processes that are connected just now. */
export const EVENT_SIGNALS = {
  /** A trigger has deliveries: its identity. */
  due: `${ROOT}.signal.due`,
  /** What is open of a trigger has been dropped: its identity. */
  dropped: `${ROOT}.signal.dropped`,
  /** Something declared has changed: its kind, or `limits`. */
  changed: `${ROOT}.signal.changed`,
} as const;

/** Any text as one token of a subject. */
export function subjectToken(text: string): string {
  return encodeURIComponent(text).replace(
    /[.*!'()~]/g,
    (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

export function untoken(text: string): string {
  return decodeURIComponent(text);
}

function brokerTokens({ namespace, name }: BrokerRef): string {
  return `${subjectToken(namespace)}.${subjectToken(name)}`;
}

/** As a key of maps. */
export function brokerKey({ namespace, name }: BrokerRef): string {
  return `${namespace}/${name}`;
}

/**
 * What an event takes, rounded up by a 32nd at most: servers count messages by subject but not their bytes, so the subject
 * tells them.
 */
export function roundedSize(bytes: number): number {
  const step = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, bytes))) - 5);
  return Math.ceil(bytes / step) * step;
}

export const LOG_FILTER = `${ROOT}.log.>`;

export function logSubject(broker: BrokerRef, bytes: number): string {
  return `${ROOT}.log.${brokerTokens(broker)}.${roundedSize(bytes)}`;
}

/** Events of a namespace, or of one of its brokers. */
export function logFilter(namespace: string, broker?: string): string {
  return `${ROOT}.log.${subjectToken(namespace)}.${broker === undefined ? "*" : subjectToken(broker)}.*`;
}

/** @returns undefined for another subject */
export function parseLog(subject: string): { readonly broker: BrokerRef; readonly bytes: number } | undefined {
  const [, , kind, namespace, name, bytes] = subject.split(".");
  if (kind !== "log" || namespace === undefined || name === undefined) return undefined;
  return { broker: { namespace: untoken(namespace), name: untoken(name) }, bytes: Number(bytes) };
}

/** Brokers that subjects of the log tell of. */
export function brokersIn(subjects: ReadonlyMap<string, unknown>): BrokerRef[] {
  const brokers = new Map<string, BrokerRef>();
  for (const subject of subjects.keys()) {
    const broker = parseLog(subject)?.broker;
    if (broker) brokers.set(brokerKey(broker), broker);
  }
  return [...brokers.values()];
}

/** Of a key that an event has been appended with; of a batch that has been stored. */
export function onceSubject(broker: BrokerRef | undefined, key: string): string {
  return `${ROOT}.once.${hashOf(broker ? `${brokerKey(broker)}\n${key}` : key)}`;
}

/** Unordered deliveries, and those whose turn it is of ordered ones. */
export type DeliveryOrder = "u" | "o";

export function dueSubject(trigger: string, broker: BrokerRef, order: DeliveryOrder): string {
  return `${ROOT}.due.${subjectToken(trigger)}.${brokerTokens(broker)}.${order}`;
}

export function dueFilter(trigger?: string): string {
  return `${ROOT}.due.${trigger === undefined ? "*" : subjectToken(trigger)}.*.*.*`;
}

export function laterDeliverySubject(trigger: string, broker: BrokerRef, order: DeliveryOrder, id: string): string {
  return `${ROOT}.later.${subjectToken(trigger)}.${brokerTokens(broker)}.${order}.${id}`;
}

/** One for each key: two keys of one hash of 128 bits are not to be expected. */
export function laneSubject(trigger: string, broker: BrokerRef, orderKey: string): string {
  return `${ROOT}.lane.${subjectToken(trigger)}.${brokerTokens(broker)}.${hashOf(orderKey)}`;
}

/** All that is open: of a trigger, or of the brokers of a namespace, or of one of them. */
export function openFilters(
  of: { readonly trigger: string } | { readonly namespace: string; readonly name?: string },
): string[] {
  const tokens =
    "trigger" in of
      ? subjectToken(of.trigger)
      : `*.${subjectToken(of.namespace)}${of.name === undefined ? "" : `.${subjectToken(of.name)}`}`;
  return ["due", "later", "lane"].map((kind) => `${ROOT}.${kind}.${tokens}.>`);
}

export interface OpenSubject {
  readonly kind: "due" | "later" | "lane";
  readonly trigger: string;
  readonly broker: BrokerRef;
  /** Of one whose turn it is: it is in its lane, too. */
  readonly turn: boolean;
}

export function parseOpen(subject: string): OpenSubject | undefined {
  const [, , kind, trigger, namespace, name, order] = subject.split(".");
  if (kind !== "due" && kind !== "later" && kind !== "lane") return undefined;
  if (trigger === undefined || namespace === undefined || name === undefined) return undefined;
  return {
    kind,
    trigger: untoken(trigger),
    broker: { namespace: untoken(namespace), name: untoken(name) },
    turn: kind !== "lane" && order === "o",
  };
}

export function recordSubject(broker: BrokerRef, ref: string, n: string): string {
  return `${ROOT}.record.${brokerTokens(broker)}.${ref}.${n}`;
}

/** Of all deliveries of an event. */
export function recordsOf(broker: BrokerRef, ref: string): string {
  return recordSubject(broker, ref, "*");
}

/** @returns undefined for another subject */
export function parseRecordSubject(subject: string): { readonly ref: string; readonly n: string } | undefined {
  const [, , kind, , , ref, n] = subject.split(".");
  return kind === "record" && ref !== undefined && n !== undefined ? { ref, n } : undefined;
}

interface Sought {
  readonly type?: unknown;
  readonly id?: unknown;
}

/** Of what is told of an event as a whole. It can be found by type and id. */
export function routedSubject(broker: BrokerRef, ref: string, { type, id }: Sought): string {
  return `${ROOT}.routed.${brokerTokens(broker)}.${shortHash(type)}.${shortHash(id)}.${ref}`;
}

/** Of a namespace's events, or of those of one of its brokers, that may have the type and the id. */
export function routedFilter(namespace: string, broker?: string, { type, id }: Sought = {}): string {
  const any = (value: unknown) => (value === undefined ? "*" : shortHash(value));
  const name = broker === undefined ? "*" : subjectToken(broker);
  return `${ROOT}.routed.${subjectToken(namespace)}.${name}.${any(type)}.${any(id)}.*`;
}

export function routedOf(namespace: string, ref: string, broker?: string): string {
  const name = broker === undefined ? "*" : subjectToken(broker);
  return `${ROOT}.routed.${subjectToken(namespace)}.${name}.*.*.${ref}`;
}

/** @returns undefined for another subject */
export function parseRouted(subject: string): string | undefined {
  const [, , kind, , , , , ref] = subject.split(".");
  return kind === "routed" ? ref : undefined;
}

/** Marks that a delivery is dead, so that they can be counted. */
export function deadMarkSubject(broker: BrokerRef, ref: string, n: string): string {
  return `${ROOT}.dead.${brokerTokens(broker)}.${ref}.${n}`;
}

export function deadFilter(broker: BrokerRef, ref = "*"): string {
  return `${ROOT}.dead.${brokerTokens(broker)}.${ref}.*`;
}

export const LIMITS_FILTER = `${ROOT}.limits.*.*`;

export function limitsSubject(broker: BrokerRef): string {
  return `${ROOT}.limits.${brokerTokens(broker)}`;
}

export function parseLimits(subject: string): BrokerRef {
  const [, , , namespace = "", name = ""] = subject.split(".");
  return { namespace: untoken(namespace), name: untoken(name) };
}

/** Of a document; of all of a kind, or of all there are, where something is left out. */
export function resourceSubject(kind?: string, namespace?: string, name?: string): string {
  const part = (text: string | undefined) => (text === undefined ? "*" : subjectToken(text));
  return `${ROOT}.resource.${part(kind)}.${part(namespace)}.${part(name)}`;
}

export const SUBJECTS = {
  log: [`${ROOT}.log.*.*.*`, `${ROOT}.once.*`],
  deliveries: [`${ROOT}.due.*.*.*.*`, `${ROOT}.later.*.*.*.*.*`, `${ROOT}.lane.*.*.*.*`],
  records: [`${ROOT}.record.*.*.*.*`, `${ROOT}.routed.*.*.*.*.*`, `${ROOT}.dead.*.*.*.*`],
  resources: [CURSOR_SUBJECT, LIMITS_FILTER, `${ROOT}.resource.*.*.*`],
} as const;

/** Of a trigger's deliveries. */
export function triggerConsumerName(trigger: string): string {
  return `t-${hashOf(trigger)}`;
}

const MARK_DIGITS = 4;

/**
 * An event's name: its number in the stream, and digits that its message has, too. A server that lost its last messages gives
 * their numbers to others, and these are not to be taken for them.
 */
export function eventRef(seq: number, mark: string): string {
  return `${seq}${mark}`;
}

export function parseRef(ref: string): { readonly seq: number; readonly mark: string } | undefined {
  if (!/^[1-9]\d{4,18}$/.test(ref)) return undefined;
  return { seq: Number(ref.slice(0, -MARK_DIGITS)), mark: ref.slice(-MARK_DIGITS) };
}

export function newMark(): string {
  return String(randomInt(10 ** MARK_DIGITS)).padStart(MARK_DIGITS, "0");
}

/** The same for the same id. */
export function markOf(id: string): string {
  const number = createHash("sha256").update(id).digest().readUInt32BE(0);
  return String(number % 10 ** MARK_DIGITS).padStart(MARK_DIGITS, "0");
}

export function newId(): string {
  return randomBytes(12).toString("base64url");
}

/** 128 bits as a token. */
function hashOf(text: string): string {
  return createHash("sha256").update(text).digest().subarray(0, 16).toString("base64url");
}

/** For what is compared afterwards. */
function shortHash(value: unknown): string {
  return hashOf(String(value)).slice(0, 8);
}

/** Whether one event's name sorts before another's. */
export function isBefore(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length;
}

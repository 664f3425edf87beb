import { randomBytes } from "node:crypto";
import { FaasError } from "../../contract/errors.ts";
import {
  DEFAULT_REPLAY_RATE,
  type ReplayReport,
  type ReplayRequest,
  type ReplayState,
} from "../../contract/events/replay-spec.ts";
import { isFunctionName } from "../../contract/functions.ts";
import { isDnsLabel } from "../../contract/names.ts";
import { parseVersionedName } from "../../contract/versions/version-name.ts";
import type { DeliveryState, EventQuery, EventRecord, NewDelivery } from "../store/event-store.ts";
import type { Subscriber } from "../triggers/trigger.ts";
import { readRange, readTriggerName } from "./event-query.ts";
import { latestDeliveries } from "./event-state.ts";

/** A replay as it is kept; times in milliseconds since the epoch. */
export interface Replay {
  readonly name: string;
  readonly namespace: string;
  readonly createdAt: number;
  readonly select: EventQuery;
  /** These alone, by their refs. */
  readonly events?: readonly string[];
  /** `function/NAMESPACE/NAME[@VERSION]`, or the identity of a trigger. */
  readonly to?: string;
  /** What is answered goes on to the broker. */
  readonly replies?: boolean;
  /** Events a second. */
  readonly rate: number;
  readonly state: ReplayState;
  readonly endedAt?: number;
  readonly total?: number;
  readonly done: number;
  readonly skipped: number;
  /** Those up to it are done. */
  readonly lastRef?: string;
  readonly lastArrivedAt?: number;
  readonly problem?: string;
}

export function isReplayOver({ state }: Pick<Replay, "state">): boolean {
  return state !== "STARTING" && state !== "RUNNING";
}

/**
 * A replay as it begins. Whatever is relative in the request is resolved now, so that it means the same after a restart.
 * @throws {FaasError} `invalid`, naming the field and its rule
 */
export function beginReplay(request: ReplayRequest, namespace: string, now: number): Replay {
  const {
    name = `replay-${randomBytes(5).toString("hex")}`,
    rate = DEFAULT_REPLAY_RATE,
    to,
    events,
    replies,
  } = request;
  const { broker, id, source, type, trigger, states, all } = request;
  const range = readRange(request, now);
  const filtered = [broker, id, source, type, trigger, states, events, request.since, request.until].some(
    (value) => value !== undefined,
  );
  if (filtered && all) throw wrong("all", "must not be combined with a filter");
  if (!filtered && !all) throw wrong("all", "must be true unless a filter says which events are meant");
  if (events && (broker ?? id ?? source ?? type ?? request.since ?? request.until) !== undefined) {
    throw wrong("events", "must not be combined with another filter than trigger and states");
  }
  if (states?.includes("unmatched") && to === undefined) {
    throw wrong("to", "must say where events go that no trigger wanted");
  }
  if (replies && to !== undefined && !/^(trigger|flow)\//.test(to)) {
    throw wrong("replies", "a function that is no trigger's has no broker to reply to");
  }
  const only = trigger === undefined ? undefined : readTriggerName("trigger", trigger, namespace);
  if (only !== undefined && to === undefined && isOfARun(only)) {
    throw wrong("trigger", "a step of a run is not replayed by itself: resume the run, or replay its start");
  }
  return {
    name,
    namespace,
    createdAt: now,
    select: {
      namespace,
      ...(broker !== undefined && { broker }),
      ...(id !== undefined && { id }),
      ...(source !== undefined && { source }),
      ...(type !== undefined && { type }),
      ...(only !== undefined && { trigger: only }),
      ...(states !== undefined && { states }),
      ...range,
      // What arrives later is not meant, nor is what the replay itself brings about.
      until: Math.min(range.until ?? Number.POSITIVE_INFINITY, now),
    },
    ...(events !== undefined && { events: [...new Set(events)] }),
    ...(to !== undefined && { to: readReceiver(to, namespace) }),
    ...(replies && { replies }),
    rate,
    state: "STARTING",
    done: 0,
    skipped: 0,
  };
}

/** @throws {FaasError} `invalid` */
function readReceiver(text: string, namespace: string): string {
  const parts = text.split("/");
  if (parts.length === 1) return `function/${namespace}/${checkedFunction(text)}`;
  if (parts[0] !== "function") {
    const trigger = readTriggerName("to", text, namespace);
    if (!/^(trigger|flow)\//.test(trigger)) throw wrong("to", "must be a function or a trigger");
    return trigger;
  }
  const [, first = "", second] = parts;
  if (parts.length > 3) throw wrong("to", "must be function/NAMESPACE/NAME, with @VERSION or without");
  if (second === undefined) return `function/${namespace}/${checkedFunction(first)}`;
  if (!isDnsLabel(first)) throw wrong("to", "the namespace must be a DNS label");
  return `function/${first}/${checkedFunction(second)}`;
}

function checkedFunction(text: string): string {
  const { name, version } = parseVersionedName(text);
  if (!isFunctionName(name) || version === "") {
    throw wrong("to", `${JSON.stringify(text.slice(0, 80))} is no function's name, with @VERSION or without`);
  }
  return text;
}

function wrong(field: string, rule: string): FaasError {
  return new FaasError("invalid", `replay: ${field}: ${rule}`);
}

/** Where the replay's events go when that is a function: a subscriber of its own, which gets nothing else. */
export function receiverOf({ to }: Pick<Replay, "to">): Extract<Subscriber, { kind: "function" }> | undefined {
  const [kind, namespace, target] = to?.split("/") ?? [];
  if (kind !== "function" || namespace === undefined || target === undefined) return undefined;
  const { name, version } = parseVersionedName(target);
  return { kind: "function", function: { name, namespace }, ...(version !== undefined && { version }) };
}

/** Identity of the trigger that a replay to a function has for itself. */
export function triggerIdOf({ namespace, name }: Pick<Replay, "namespace" | "name">): string {
  return `replay/${namespace}/${name}`;
}

/** Who gets an event again; nobody when it has no delivery that was meant. */
export function deliveriesAgain(record: Pick<EventRecord, "deliveries">, replay: Replay): NewDelivery[] {
  const { name, select, to, replies } = replay;
  const again = { replay: name, ...(replies && { replies }) };
  const meant = latestDeliveries(record).filter(({ trigger, state }) => isMeant(trigger, state, select));
  if (to !== undefined) {
    if (meant.length === 0 && narrowed(select)) return [];
    return [{ trigger: receiverOf(replay) ? triggerIdOf(replay) : to, ...again }];
  }
  return meant
    .filter(({ trigger }) => !isOfARun(trigger))
    .map(({ trigger, orderKey, attributes }) => ({
      trigger,
      ...again,
      ...(orderKey !== undefined && { orderKey }),
      ...(attributes !== undefined && { attributes }),
    }));
}

/** Steps of runs go on by themselves, or by resuming the run; replays to functions are over. What starts a run may start another. */
function isOfARun(trigger: string): boolean {
  return trigger.startsWith("replay/") || (trigger.startsWith("flow/") && !trigger.endsWith("/start"));
}

function isMeant(trigger: string, state: DeliveryState, { trigger: wanted, states }: EventQuery): boolean {
  return (wanted === undefined || trigger === wanted) && (states?.includes(state) ?? true);
}

/** Whether single deliveries are meant, and not events whatever has become of them. */
function narrowed({ trigger, states }: EventQuery): boolean {
  return states === undefined ? trigger !== undefined : !states.includes("unmatched");
}

const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

/** A replay as clients get it. */
export function buildReplayReport(replay: Replay): ReplayReport {
  const { select, createdAt, endedAt, lastArrivedAt, events, ...rest } = replay;
  const { namespace: _, since, until, states, ...filters } = select;
  const report = {
    ...rest,
    ...filters,
    events: events && [...events],
    states: states && [...states],
    createdAt: iso(createdAt) as string,
    endedAt: iso(endedAt),
    since: iso(since),
    until: iso(until),
    lastArrivedAt: iso(lastArrivedAt),
  };
  return Object.fromEntries(Object.entries(report).filter(([, value]) => value !== undefined)) as ReplayReport;
}

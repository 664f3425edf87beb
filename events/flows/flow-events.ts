import { type CloudEvent, isJsonType } from "../codec/cloud-event.ts";
import type { EventDelivery, HeaderList, NewEvent } from "../store/event-store.ts";
import { FLOW_BROKER, type FlowPlan } from "./plan.ts";
import type { StepError } from "./step-error.ts";

const HEADERS = {
  flow: "X-Flow",
  run: "X-Flow-Run",
  step: "X-Flow-Step",
  item: "X-Flow-Item",
  visit: "X-Flow-Visit",
  from: "X-Flow-From",
  outcome: "X-Flow-StepOutcome",
} as const;
/** Which try of a step it is; from the second on, its effect may be there already. */
export const ATTEMPT_HEADER = "X-Flow-Attempt";
const OURS = /^x-flow(-|$)/i;
const ERROR_TYPE = "com.faaslane.flow.error";
const VISIT = /^(\d{1,9})\.(\d{1,9})$/;

/** What has come out of a step, for those that only take note of it. */
export type StepOutcome = "done" | "failed" | "empty";

/** Where in a run an event is. */
export interface Place {
  readonly run: string;
  readonly visit: number;
  readonly round: number;
  /** Part of a fan-out. */
  readonly item?: number;
  /** The first item that a map has not given out yet. */
  readonly from?: number;
  readonly outcome?: StepOutcome;
}

/** @returns undefined for an event that is none of a run's */
export function readPlace(delivery: Pick<EventDelivery, "event">): Place | undefined {
  const text = (name: string) => headerOf(delivery.event.headers, name);
  const run = text(HEADERS.run);
  const visit = VISIT.exec(text(HEADERS.visit) ?? "");
  if (run === undefined || !visit) return undefined;
  const item = text(HEADERS.item);
  const from = text(HEADERS.from);
  const outcome = text(HEADERS.outcome);
  return {
    run,
    round: Number(visit[1]),
    visit: Number(visit[2]),
    ...(item !== undefined && { item: Number(item) }),
    ...(from !== undefined && { from: Number(from) }),
    ...(outcome !== undefined && { outcome: outcome as StepOutcome }),
  };
}

function headerOf(headers: HeaderList, name: string): string | undefined {
  return headers.find(([each]) => each === name)?.[1];
}

/** Id of the trigger of a step or part of one. */
export function stepTriggerId({ namespace, name }: Pick<FlowPlan, "namespace" | "name">, key: string): string {
  return `flow/${namespace}/${name}/${key}`;
}

export interface FlowEventOptions {
  readonly plan: FlowPlan;
  /** Of the trigger that gets it. */
  readonly key: string;
  readonly place: Place;
  readonly event: CloudEvent;
  readonly headers: HeaderList;
  readonly hops: number;
  readonly now: number;
  readonly notBefore?: number | undefined;
  readonly orderKey?: string | undefined;
}

/** An event that goes to one step of a run, and to nobody else. */
export function buildFlowEvent(options: FlowEventOptions): NewEvent {
  const { plan, key, place, event, headers, hops, now, notBefore, orderKey } = options;
  const { run, round, visit, item, from, outcome } = place;
  const own: [string, string][] = [
    [HEADERS.flow, plan.name],
    [HEADERS.run, run],
    [HEADERS.step, key],
    [HEADERS.visit, `${round}.${visit}`],
  ];
  if (item !== undefined) own.push([HEADERS.item, String(item)]);
  if (from !== undefined) own.push([HEADERS.from, String(from)]);
  if (outcome !== undefined) own.push([HEADERS.outcome, outcome]);
  return {
    broker: { namespace: plan.namespace, name: FLOW_BROKER },
    event,
    headers: [...headers.filter(([name]) => !OURS.test(name)), ...own],
    hops,
    arrivedAt: now,
    via: viaOf(plan),
    directed: [
      {
        trigger: stepTriggerId(plan, key),
        ...(notBefore !== undefined && { notBefore }),
        ...(orderKey !== undefined && { orderKey }),
      },
    ],
  };
}

/** Who brings the events of a flow's runs. */
export function viaOf({ namespace, name }: Pick<FlowPlan, "namespace" | "name">): string {
  return `flow/${namespace}/${name}`;
}

function sourceOf({ namespace, name }: FlowPlan): string {
  return `/flows/${namespace}/${name}`;
}

/** An event of the platform's own in a run. */
function madeEvent(plan: FlowPlan, id: string, type: string, text: string, subject?: string): CloudEvent {
  return {
    attributes: {
      specversion: "1.0",
      id,
      source: sourceOf(plan),
      type,
      ...(subject !== undefined && { subject }),
      datacontenttype: "application/json",
    },
    data: Buffer.from(text),
  };
}

/** What a function answered that knows nothing of events: data of an event that is otherwise as the one it was given. */
export function wrapAnswer(
  plan: FlowPlan,
  id: string,
  given: CloudEvent,
  body: Buffer,
  contentType?: string,
): CloudEvent {
  const { dataschema: _, datacontenttype: __, ...attributes } = given.attributes;
  return {
    attributes: {
      ...attributes,
      id,
      source: sourceOf(plan),
      ...(contentType !== undefined && { datacontenttype: contentType }),
    },
    data: body,
  };
}

/** One item of a list that an event has given. */
export function itemEvent(plan: FlowPlan, id: string, given: CloudEvent, item: unknown): CloudEvent {
  return wrapAnswer(plan, id, given, Buffer.from(JSON.stringify(item)), "application/json");
}

export function joinedEvent(plan: FlowPlan, id: string, step: string, elements: readonly string[]): CloudEvent {
  return madeEvent(plan, id, "com.faaslane.flow.joined", `[${elements.join(",")}]`, step);
}

/** @param given the event that the step had, told as it is as long as there is room */
export function errorEvent(
  plan: FlowPlan,
  id: string,
  error: StepError & { readonly step: string },
  given: CloudEvent,
  maxBytes: number,
): CloudEvent {
  const head = JSON.stringify(error).slice(0, -1);
  // What a step makes of an error may fail too: errors do not pile up in one another.
  if (given.attributes.type === ERROR_TYPE) return madeEvent(plan, id, ERROR_TYPE, `${head}}`, error.step);
  const data = (given.data?.length ?? 0) * 2 + head.length < maxBytes ? elementOf(given) : undefined;
  const attributes = JSON.stringify(given.attributes);
  const text = `${head},"event":{"attributes":${attributes}${data === undefined ? "" : `,"data":${data}`}}}`;
  return madeEvent(plan, id, ERROR_TYPE, text, error.step);
}

/** Reads what {@link errorEvent} has written. */
export function readErrorEvent({ data }: CloudEvent): StepError & { readonly step: string } {
  const { errorType, cause, status, step } = JSON.parse(String(data)) as StepError & { step: string };
  return { errorType, cause, step, ...(status !== undefined && { status }) };
}

/** An event's data as JSON: what is JSON as it is written, a text as a string, other bytes in base64. */
export function elementOf({ attributes, data }: CloudEvent): string {
  if (data === undefined) return "null";
  const type = attributes.datacontenttype;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    return `{"data_base64":${JSON.stringify(data.toString("base64"))}}`;
  }
  return isJsonType(type === undefined ? undefined : String(type)) && isJson(text) ? text.trim() : JSON.stringify(text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What a store adds to an event, and headers of ours. */
const EXTRA_BYTES = 2 * 1024;

/** Bytes of an event as stores count them, at most. */
export function sizeOf({ attributes, data }: CloudEvent, headers: HeaderList): number {
  const head = Buffer.byteLength(JSON.stringify(attributes)) + Buffer.byteLength(JSON.stringify(headers));
  return head + EXTRA_BYTES + (data?.length ?? 0);
}

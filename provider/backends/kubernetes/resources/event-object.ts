import { checkJsonBounds } from "../../../../contract/bounded-json.ts";
import { toFaasError } from "../../../../contract/errors.ts";
import { decodeBrokerSpec } from "../../../../contract/events/broker-spec.ts";
import {
  type DeclaredKind,
  type EventObject,
  type EventObjectStatus,
  MAX_OBJECT_BYTES,
  MAX_OBJECT_DEPTH,
  type ObjectCondition,
  type ObjectProblem,
  type ObjectStatusFields,
} from "../../../../contract/events/event-object.ts";
import { decodeFlowSpec, isFlowName } from "../../../../contract/events/flow-spec.ts";
import { decodeSinkSpec } from "../../../../contract/events/sink-spec.ts";
import { decodeSourceSpec } from "../../../../contract/events/source-spec.ts";
import { decodeTriggerSpec } from "../../../../contract/events/trigger-spec.ts";
import { isDnsLabel } from "../../../../contract/names.ts";

/** Plural names of the kinds, as paths have them. */
export const EVENT_PLURALS: Readonly<Record<DeclaredKind, string>> = {
  broker: "brokers",
  trigger: "triggers",
  source: "sources",
  sink: "sinks",
  flow: "flows",
};

/** A condition as it is written. */
export interface WrittenCondition extends ObjectCondition {
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** `status` of such an object. */
export interface WrittenStatus extends ObjectStatusFields {
  readonly conditions?: readonly WrittenCondition[];
  readonly observedGeneration?: number;
}

/** An object of kind Broker, Trigger, Source, Sink or Flow, `openfaas.com/v1`, as it comes. */
export interface EventResourceObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** What is kept of it. */
export interface EventObjectRecord {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly object: EventObject;
  /** Of its spec as text. */
  readonly bytes: number;
  readonly status: WrittenStatus;
}

const DECODERS: Readonly<Record<DeclaredKind, (spec: unknown) => unknown>> = {
  broker: decodeBrokerSpec,
  trigger: (spec) => decodeTriggerSpec(spec),
  source: decodeSourceSpec,
  sink: decodeSinkSpec,
  flow: (spec) => decodeFlowSpec(spec),
};

/** Reads an object, and looks at it by the rules of the contract. */
export function recordEventObject(
  kind: DeclaredKind,
  { metadata = {}, spec, status }: EventResourceObject,
): EventObjectRecord {
  const { name = "", namespace = "", uid = "", generation = 0, resourceVersion } = metadata;
  const text = textOf(spec);
  const problem = invalidName(kind, name) ?? invalidSpec(kind, spec, text);
  return {
    metadata: { name, namespace, ...(resourceVersion !== undefined && { resourceVersion }) },
    object: { kind, namespace, name, uid, generation, ...(problem ? { problem } : { spec: spec ?? {} }) },
    bytes: problem ? 0 : Buffer.byteLength(text ?? ""),
    status: readStatus(status),
  };
}

/** What somebody else has written there may be anything. */
function readStatus(status: unknown): WrittenStatus {
  if (typeof status !== "object" || status === null || Array.isArray(status)) return {};
  const { conditions } = status as { readonly conditions?: unknown };
  const sound = Array.isArray(conditions) && conditions.every((each) => typeof each === "object" && each !== null);
  return sound ? (status as WrittenStatus) : { ...status, conditions: [] };
}

function invalidName(kind: DeclaredKind, name: string): ObjectProblem | undefined {
  if (!isDnsLabel(name)) return invalid("metadata.name: must be a DNS label: at most 63 of a-z, 0-9 and -");
  if (kind !== "flow" || isFlowName(name)) return undefined;
  return invalid("metadata.name: of a flow must be at most 40 of a-z, 0-9 and -");
}

function invalidSpec(kind: DeclaredKind, spec: unknown, text: string | undefined): ObjectProblem | undefined {
  if (text === undefined) return invalid("spec: is nested too deeply");
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_OBJECT_BYTES) return invalid(`spec: has at most ${MAX_OBJECT_BYTES} bytes as JSON, not ${bytes}`);
  try {
    checkJsonBounds(text, { maxBytes: MAX_OBJECT_BYTES, maxDepth: MAX_OBJECT_DEPTH }, "spec");
    DECODERS[kind](spec ?? {});
    return undefined;
  } catch (error) {
    return invalid(toFaasError(error).message);
  }
}

function invalid(message: string): ObjectProblem {
  return { reason: "Invalid", message, keeps: true };
}

/** Undefined for what is too deep to be written. */
function textOf(spec: unknown): string | undefined {
  try {
    return JSON.stringify(spec ?? {});
  } catch {
    return undefined;
  }
}

/**
 * What `status` is to be. The time of a condition whose status stays what it was stays too, so that equal facts give an equal
 * status, and nothing has to be written.
 */
export function decideEventStatus(before: WrittenStatus, now: EventObjectStatus, at: Date): WrittenStatus {
  const { generation: observedGeneration, conditions, fields } = now;
  const time = at.toISOString().replace(/\.\d+Z$/, "Z");
  return {
    ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)),
    conditions: conditions.map((condition) => {
      const known = before.conditions?.find(({ type }) => type === condition.type);
      const lastTransitionTime = known?.status === condition.status ? known.lastTransitionTime : time;
      return { ...condition, lastTransitionTime, observedGeneration };
    }),
    observedGeneration,
  };
}

/** A merge patch that makes one status of another: what is not there any more is taken away. */
export function statusPatch(before: WrittenStatus, now: WrittenStatus): Readonly<Record<string, unknown>> {
  const gone = Object.keys(before).filter((field) => !(field in now));
  return { ...now, ...Object.fromEntries(gone.map((field) => [field, null])) };
}

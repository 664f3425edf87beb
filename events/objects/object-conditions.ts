import { clip } from "../../contract/clip.ts";
import type { ObjectCondition, ObjectProblem } from "../../contract/events/event-object.ts";
import type { SinkStatus } from "../sinks/sink-status.ts";
import type { SourceStatus } from "../sources/source.ts";

/** What an object's condition comes to: undefined for as it should be. */
export interface Fault {
  readonly reason: string;
  readonly message: string;
  /** Nobody knows yet. */
  readonly isUnknown?: boolean;
}

/** Where something leads, as people are told, and why it does not. */
export interface Target {
  readonly uri: string;
  readonly fault?: Fault | undefined;
}

/** With what says that it was cut, less than the provider takes. */
const MAX_MESSAGE_CHARS = 1_990;
const READY = "it is as it should be";

type Part = readonly [type: string, fault: Fault | undefined, good: readonly [reason: string, message: string]];

/**
 * `Ready` is the first of its parts that is not as it should be.
 * @param problem why the object itself is not what counts
 * @param exists whether anything of it counts
 */
function combine(problem: ObjectProblem | undefined, exists: boolean, parts: readonly Part[]): ObjectCondition[] {
  const known = exists ? parts : [];
  const first = problem ? ofProblem(problem, exists) : exists ? known.find(([, fault]) => fault)?.[1] : PENDING;
  const ready: Part = ["Ready", first, ["Ready", READY]];
  return [ready, ...known].map(buildCondition);
}

const PENDING: Fault = { reason: "Pending", message: "it is being declared", isUnknown: true };

function ofProblem({ reason, message, keeps }: ObjectProblem, exists: boolean): Fault {
  return { reason, message: keeps && exists ? `${message}; what was declared before goes on` : message };
}

function buildCondition([type, fault, [reason, message]]: Part): ObjectCondition {
  if (!fault) return { type, status: "True", reason, message: clip(message, MAX_MESSAGE_CHARS) };
  const status = fault.isUnknown ? "Unknown" : "False";
  return { type, status, reason: fault.reason, message: clip(fault.message || fault.reason, MAX_MESSAGE_CHARS) };
}

export interface TriggerFacts {
  readonly problem: ObjectProblem | undefined;
  /** What counts of it; undefined when nothing does. */
  readonly trigger:
    | {
        readonly broker: Target;
        readonly subscriber: Target;
        readonly deadLetter: Target | undefined;
        /** What is wrong with its declaration. */
        readonly problem: string | undefined;
        readonly stopped: string | undefined;
        readonly suspended: boolean;
      }
    | undefined;
}

/** With the names that Knative's triggers have. */
export function triggerConditions({ problem, trigger }: TriggerFacts): ObjectCondition[] {
  if (!trigger) return combine(problem, false, []);
  const { broker, subscriber, deadLetter, stopped, suspended } = trigger;
  const unsound = trigger.problem === undefined ? undefined : { reason: "Invalid", message: trigger.problem };
  const paused = stopped === undefined ? undefined : { reason: suspended ? "Suspended" : "Stopped", message: stopped };
  return combine(problem, true, [
    ["BrokerReady", broker.fault, ["Ready", `events come from ${broker.uri}`]],
    ["SubscriberResolved", subscriber.fault, ["Resolved", `events go to ${subscriber.uri}`]],
    [
      "DeadLetterSinkResolved",
      deadLetter?.fault,
      deadLetter
        ? ["Resolved", `what is given up goes to ${deadLetter.uri}`]
        : ["DeadLetterSinkNotConfigured", "none is named"],
    ],
    ["DependencyReady", undefined, ["NoDependency", "it depends on nothing"]],
    ["SubscriptionReady", unsound ?? paused, ["Subscribed", "events are delivered"]],
  ]);
}

export interface SourceFacts {
  readonly problem: ObjectProblem | undefined;
  readonly source: { readonly broker: Target; readonly status: SourceStatus } | undefined;
}

export function sourceConditions({ problem, source }: SourceFacts): ObjectCondition[] {
  if (!source) return combine(problem, false, []);
  const { broker, status } = source;
  return combine(problem, true, [
    ["SinkProvided", broker.fault, ["Ready", `events go to ${broker.uri}`]],
    ["Connected", sourceFault(status), ["Connected", status.problem ?? "it brings events"]],
  ]);
}

function sourceFault({ state, problem }: SourceStatus): Fault | undefined {
  switch (state) {
    case "connected":
      return undefined;
    case "failing":
      return { reason: "Failing", message: problem ?? "it fails" };
    case "suspended":
      return { reason: "Suspended", message: "it brings nothing until it is resumed" };
    case "connecting":
      return { reason: "Connecting", message: problem ?? "it begins", isUnknown: true };
    case "elsewhere":
      return {
        reason: "Elsewhere",
        message: "another process runs it, and has not told yet how it is",
        isUnknown: true,
      };
  }
}

export interface SinkFacts {
  readonly problem: ObjectProblem | undefined;
  readonly sink: SinkStatus | undefined;
}

export function sinkConditions({ problem, sink }: SinkFacts): ObjectCondition[] {
  if (!sink) return combine(problem, false, []);
  const fault = sink.state === "failing" ? { reason: "Failing", message: sink.problem ?? "it fails" } : undefined;
  return combine(problem, true, [["Connected", fault, ["Connected", "nothing has failed"]]]);
}

export function brokerConditions(problem: ObjectProblem | undefined, path: string | undefined): ObjectCondition[] {
  if (path === undefined) return combine(problem, false, []);
  return combine(problem, true, [["Addressable", undefined, ["Addressable", `events are sent to ${path}`]]]);
}

export interface FlowFacts {
  readonly problem: ObjectProblem | undefined;
  readonly flow:
    | {
        /** Absent where events start no runs. */
        readonly broker: Target | undefined;
        /** Of all steps. */
        readonly subscribers: readonly Target[];
        readonly unsound: string | undefined;
        readonly suspended: boolean;
      }
    | undefined;
}

export function flowConditions({ problem, flow }: FlowFacts): ObjectCondition[] {
  if (!flow) return combine(problem, false, []);
  const { broker, subscribers, unsound, suspended } = flow;
  const missing = subscribers.find(({ fault }) => fault)?.fault;
  const wrong = unsound === undefined ? undefined : { reason: "Invalid", message: unsound };
  const paused = suspended ? { reason: "Suspended", message: "events start no runs" } : undefined;
  return combine(problem, true, [
    ...(broker ? [["BrokerReady", broker.fault, ["Ready", `events of ${broker.uri} start it`]] satisfies Part] : []),
    ["SubscribersResolved", missing, ["Resolved", "all of its steps lead somewhere"]],
    ["StepsReady", wrong ?? paused, ["Ready", "runs can be started"]],
  ]);
}

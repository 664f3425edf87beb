import { decode } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import type { EventDeliverySpec, SubscriberSpec } from "../../contract/events/delivery-spec.ts";
import { subscriberSpec } from "../../contract/events/delivery-spec.ts";
import {
  type BranchSpec,
  type CatchSpec,
  DEFAULT_MAP_CONCURRENCY,
  defaultName,
  type FlowSpec,
  inlineSubscriber,
  type JoinSpec,
  type StepSpec,
} from "../../contract/events/flow-spec.ts";
import { parseWait } from "../delivery/delivery-policy.ts";
import { compileFilters, type Filter, legacyFilter } from "../filters/filter.ts";
import type { BrokerRef } from "../store/event-store.ts";
import { NO_DEFAULTS, type ReadDelivery, readDelivery } from "../triggers/read-trigger.ts";
import { readSubscriber } from "../triggers/subscribers.ts";
import type { Subscriber } from "../triggers/trigger.ts";

/** Who is asked in a step, and how. */
export interface PlannedCall {
  readonly subscriber: Subscriber;
  readonly delivery: ReadDelivery;
  readonly transform?: string;
}

export interface PlannedCatch {
  readonly errors: readonly string[];
  /** A step's name, or `end`. */
  readonly next?: string;
  readonly reply?: PlannedCall;
}

export interface PlannedBranch {
  readonly name: string;
  readonly filter?: PlannedCall;
  readonly call: PlannedCall;
  readonly reply?: PlannedCall;
}

/** How many parts of a fan-out have to be done; with `none`, each answer goes its own way. */
export type Join = "none" | "all" | number;

export type PlannedWait =
  | { readonly kind: "duration"; readonly ms: number }
  | { readonly kind: "until"; readonly attribute: string };

interface NamedStep {
  readonly name: string;
  readonly catches: readonly PlannedCatch[];
}
export type MapStep = NamedStep & {
  readonly kind: "map";
  readonly items: string;
  readonly concurrency: number;
  readonly call: PlannedCall;
};
export type ParallelStep = NamedStep & {
  readonly kind: "parallel";
  readonly branches: readonly PlannedBranch[];
  readonly join: Join;
};
export type PlannedStep =
  | (NamedStep & { readonly kind: "call"; readonly call: PlannedCall })
  | (NamedStep & { readonly kind: "transform"; readonly expression: string })
  | (NamedStep & { readonly kind: "wait"; readonly wait: PlannedWait })
  | MapStep
  | ParallelStep;

/** A flow, checked and read. */
export interface FlowPlan {
  readonly namespace: string;
  readonly name: string;
  /** Whose events start it. */
  readonly broker?: BrokerRef;
  readonly filter: Filter;
  readonly steps: readonly PlannedStep[];
  readonly reply?: PlannedCall;
  /** Of a whole run. */
  readonly timeoutMs: number;
  readonly suspended: boolean;
}

const DEFAULT_TIMEOUT_MS = 24 * 3600_000;
/** Events of flows are kept for a little longer. */
export const MAX_RUN_MS = 30 * 24 * 3600_000;
/** Where the events of runs lie, in the namespace of their flow. Nobody's filters see them. */
export const FLOW_BROKER = "flows";
/** The only step of a Parallel. */
export const PARALLEL_STEP = "branches";

/**
 * Reads a checked flow.
 * @throws {FaasError} `invalid`, naming the field and the rule
 */
export function planFlow(spec: FlowSpec, { namespace, name }: { namespace: string; name: string }): FlowPlan {
  const reader = new FlowReader(namespace);
  const steps = spec.branches
    ? [reader.parallel(PARALLEL_STEP, spec.branches, spec.join, "none", spec.catch ?? [], "")]
    : (spec.steps ?? []).map((step, place) => reader.step(step, place));
  return {
    namespace,
    name,
    ...(spec.broker !== undefined && { broker: { namespace, name: spec.broker } }),
    filter: readFilter(spec),
    steps,
    ...(spec.reply && { reply: reader.call(spec.reply, {}, "reply.") }),
    timeoutMs: spec.timeout === undefined ? DEFAULT_TIMEOUT_MS : readWait(spec.timeout, "timeout", 1),
    suspended: spec.suspend ?? false,
  };
}

/** All expressions of a flow, with the fields they are from. */
export function* expressionsOf(spec: FlowSpec): Generator<readonly [field: string, expression: string]> {
  yield* ofBranches(spec.branches ?? [], "");
  for (const [place, { transform, map, branches }] of (spec.steps ?? []).entries()) {
    if (transform !== undefined) yield [`steps.${place}.transform`, transform];
    if (map) yield [`steps.${place}.map.items`, map.items];
    yield* ofBranches(branches ?? [], `steps.${place}.`);
  }
}

function* ofBranches(branches: readonly BranchSpec[], path: string): Generator<readonly [string, string]> {
  for (const [place, { transform }] of branches.entries()) {
    if (transform !== undefined) yield [`${path}branches.${place}.transform`, transform];
  }
}

interface CallSettings {
  readonly delivery?: EventDeliverySpec | undefined;
  readonly transform?: string | undefined;
}

class FlowReader {
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  step(spec: StepSpec, place: number): PlannedStep {
    const path = `steps.${place}.`;
    const name = spec.name ?? defaultName("step", place);
    const catches = this.#catches(spec.catch ?? [], path);
    if (spec.branches) return this.parallel(name, spec.branches, spec.join, "all", spec.catch ?? [], path);
    if (spec.wait !== undefined) return { kind: "wait", name, catches, wait: readPause(spec.wait, `${path}wait`) };
    const inline = inlineSubscriber(spec);
    const subscriber = inline ? decode(subscriberSpec, inline, path.slice(0, -1)) : spec.subscriber;
    if (spec.map) {
      const { items, concurrency = DEFAULT_MAP_CONCURRENCY } = spec.map;
      const call = this.call((spec.map.subscriber ?? subscriber) as SubscriberSpec, spec, path);
      return { kind: "map", name, catches, items, concurrency, call };
    }
    if (subscriber) return { kind: "call", name, catches, call: this.call(subscriber, spec, path) };
    return { kind: "transform", name, catches, expression: spec.transform as string };
  }

  parallel(
    name: string,
    specs: readonly BranchSpec[],
    join: JoinSpec | undefined,
    otherwise: "none" | "all",
    catches: readonly CatchSpec[],
    path: string,
  ): ParallelStep {
    const branches = specs.map((spec, place): PlannedBranch => {
      const field = `${path}branches.${place}.`;
      return {
        name: spec.name ?? defaultName("branch", place),
        ...(spec.filter && { filter: this.call(spec.filter, { delivery: spec.delivery }, field) }),
        call: this.call(spec.subscriber, spec, field),
        ...(spec.reply && { reply: this.call(spec.reply, {}, field) }),
      };
    });
    const read = join === undefined ? otherwise : join === "any" ? 1 : join;
    return { kind: "parallel", name, catches: this.#catches(catches, path), branches, join: read };
  }

  call(spec: SubscriberSpec, { delivery = {}, transform }: CallSettings, path: string): PlannedCall {
    const namespace = this.#namespace;
    const subscriber = readSubscriber(spec, namespace);
    return {
      subscriber,
      // What a function answers that knows nothing of events is the data of the next one.
      delivery: readDelivery({ ...delivery, reply: delivery.reply ?? "any" }, subscriber, {
        namespace,
        broker: { namespace, name: FLOW_BROKER },
        defaultsOf: NO_DEFAULTS,
        field: `${path}delivery`,
      }),
      ...(transform !== undefined && { transform }),
    };
  }

  #catches(specs: readonly CatchSpec[], path: string): PlannedCatch[] {
    return specs.map(({ errors, next, reply }, place) => ({
      errors,
      ...(next !== undefined && { next }),
      ...(reply && { reply: this.call(reply, {}, `${path}catch.${place}.`) }),
    }));
  }
}

function readFilter({ filter, filters }: FlowSpec): Filter {
  if (filters && filters.length > 0) return compileFilters(filters, "filters");
  const attributes = filter?.attributes ?? {};
  return Object.keys(attributes).length > 0 ? legacyFilter(attributes, "filter.attributes") : () => ({ passes: true });
}

function readPause(spec: NonNullable<StepSpec["wait"]>, field: string): PlannedWait {
  if (typeof spec === "string") return { kind: "duration", ms: readWait(spec, field, 0) };
  if (spec.until !== undefined) return { kind: "until", attribute: spec.until };
  return { kind: "duration", ms: readWait(spec.duration as string, `${field}.duration`, 0) };
}

function readWait(text: string, field: string, leastMs: number): number {
  const ms = parseWait(text);
  if (ms !== undefined && ms >= leastMs && ms <= MAX_RUN_MS) return ms;
  throw new FaasError("invalid", `${field}: must be a duration such as PT1S or 1s, at most 30 days`);
}

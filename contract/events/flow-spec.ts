import { z } from "zod";
import { atMost, decode, maybe, stringMap } from "../decode.ts";
import { isDnsLabel } from "../names.ts";
import { deliverySpec, subscriberSpec } from "./delivery-spec.ts";

export const MAX_FLOW_STEPS = 100;
export const MAX_FLOW_BRANCHES = 50;
const MAX_STEP_NAME_CHARS = 40;
const MAX_FLOW_NAME_CHARS = 40;
const MAX_CATCHES = 20;
const MAX_CONCURRENCY = 100;
/** Items of a map at a time, unless it says otherwise. */
export const DEFAULT_MAP_CONCURRENCY = 10;
/** Items of a map in all. */
export const MAX_MAP_ITEMS = 10_000;
const MAX_FLOW_TRANSFORM_CHARS = 16 * 1024;
/** Names that the platform's own steps have. */
const RESERVED = ["start", "end", "reply", "join", "item", "filter"];

const label = z.string().refine(isDnsLabel, "must be a DNS label: a-z, 0-9 and -");
const stepName = label.max(MAX_STEP_NAME_CHARS, `must be at most ${MAX_STEP_NAME_CHARS} characters`);
const jsonata = z
  .string()
  .min(1, "is required")
  .max(MAX_FLOW_TRANSFORM_CHARS, `must be at most ${MAX_FLOW_TRANSFORM_CHARS} characters`);
const duration = z.union([z.string(), z.number()], "must be a duration such as PT1S or 1s").transform(String);

/** Takes a step's failure: the first whose list has it does. */
const catchSpec = z
  .strictObject({
    /** Types of errors, as functions or the platform name them; `*` is any. */
    errors: atMost(50, z.array(z.string().min(1).max(200)).min(1, "must have at least one")),
    /** The step that goes on with the error; `end` ends the run. */
    next: maybe(z.union([stepName, z.literal("end")])),
    /** Gets the error, and the run ends. */
    reply: maybe(subscriberSpec),
  })
  .refine(({ next, reply }) => (next === undefined) !== (reply === undefined), "must have one of next and reply");
export type CatchSpec = z.output<typeof catchSpec>;

const catches = maybe(atMost(MAX_CATCHES, z.array(catchSpec)));

const waitSpec = z.union(
  [
    duration,
    z
      .strictObject({
        duration: maybe(duration),
        /** An attribute of the event with a time as in RFC 3339. */
        until: maybe(z.string().regex(/^[a-z0-9]{1,64}$/, "must be the name of an attribute: a-z and 0-9")),
      })
      .refine(
        (wait) => (wait.duration === undefined) !== (wait.until === undefined),
        "must have one of duration and until",
      ),
  ],
  "must be a duration such as 10s, or have one of duration and until",
);

/** One of a parallel: Knative's fields, and ours. */
const branchSpec = z.strictObject({
  name: maybe(stepName),
  /** Answers with an event what is to go on, and with nothing what is not. */
  filter: maybe(subscriberSpec),
  subscriber: subscriberSpec,
  /** Gets the answer, besides what joins. */
  reply: maybe(subscriberSpec),
  delivery: maybe(deliverySpec),
  transform: maybe(jsonata),
});
export type BranchSpec = z.output<typeof branchSpec>;

/** How many branches have to answer. */
const join = z.union(
  [z.enum(["all", "any"]), z.number().int().min(1).max(MAX_FLOW_BRANCHES)],
  `must be all, any or a number from 1 to ${MAX_FLOW_BRANCHES}`,
);
export type JoinSpec = z.output<typeof join>;

const branches = atMost(MAX_FLOW_BRANCHES, z.array(branchSpec).min(1, "must have at least one"));

/** Once for each item of a list. */
const mapSpec = z.strictObject({
  /** JSONata that gives a list, of the event in its JSON format. */
  items: jsonata,
  concurrency: maybe(
    z
      .number("must be a whole number")
      .int("must be a whole number")
      .min(1, "must be at least 1")
      .max(MAX_CONCURRENCY, `must be at most ${MAX_CONCURRENCY}`),
  ),
  subscriber: maybe(subscriberSpec),
});

const stepFields = {
  name: maybe(stepName),
  subscriber: maybe(subscriberSpec),
  /** As Knative's steps are: the subscriber itself. */
  ref: maybe(z.unknown()),
  uri: maybe(z.unknown()),
  function: maybe(z.unknown()),
  sink: maybe(z.unknown()),
  broker: maybe(z.unknown()),
  delivery: maybe(deliverySpec),
  /** JSONata, applied to the whole event before the subscriber gets it; without a subscriber it is the step. */
  transform: maybe(jsonata),
  wait: maybe(waitSpec),
  map: maybe(mapSpec),
  branches: maybe(branches),
  join: maybe(join),
  catch: catches,
};
const INLINE = ["ref", "uri", "function", "sink", "broker"] as const;
type StepFields = z.output<z.ZodObject<typeof stepFields>>;

/** The subscriber that a step writes in itself, as Knative's do. */
export function inlineSubscriber(step: Pick<StepFields, (typeof INLINE)[number]>): Record<string, unknown> | undefined {
  const given = INLINE.filter((name) => step[name] !== undefined);
  return given.length === 0 ? undefined : Object.fromEntries(given.map((name) => [name, step[name]]));
}

const stepSpec = z.strictObject(stepFields).superRefine((step, context) => {
  const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  const inline = inlineSubscriber(step);
  if (inline) {
    const read = subscriberSpec.safeParse(inline);
    for (const { path, message } of read.error?.issues ?? []) issue(path.map(String), message);
    if (step.subscriber) issue(["subscriber"], `must not be there beside ${Object.keys(inline).join(" and ")}`);
  }
  const calls = inline !== undefined || step.subscriber !== undefined;
  const kinds = [
    ...(calls ? ["a subscriber"] : []),
    ...(step.wait !== undefined ? ["wait"] : []),
    ...(step.map ? ["map"] : []),
    ...(step.branches ? ["branches"] : []),
  ];
  if (step.map && calls && !step.map.subscriber) kinds.splice(kinds.indexOf("a subscriber"), 1);
  if (kinds.length > 1) issue([], `must have one of a subscriber, wait, map and branches, not ${kinds.join(" and ")}`);
  if (kinds.length === 0 && step.transform === undefined) {
    issue([], "must have a subscriber, transform, wait, map or branches");
  }
  if (step.map && !step.map.subscriber && !calls) issue(["map", "subscriber"], "is required");
  if (step.join !== undefined && !step.branches) issue(["join"], "must not be there without branches");
  if (step.transform !== undefined && (step.wait !== undefined || step.branches)) {
    issue(["transform"], "must be a step of its own before wait and branches");
  }
  if (typeof step.join === "number" && step.branches && step.join > step.branches.length) {
    issue(["join"], `must be at most ${step.branches.length}, as many as there are branches`);
  }
  for (const [place, name] of duplicates("branch", step.branches ?? []))
    issue(["branches", String(place), "name"], named(name));
});
export type StepSpec = z.output<typeof stepSpec>;

/** What follows events, step by step: the fields of Knative's Sequence and Parallel, and ours. */
export const flowSpec = z
  .strictObject({
    /** Whose events start it; only `POST …/runs` does when absent. */
    broker: maybe(label),
    filter: maybe(z.strictObject({ attributes: maybe(atMost(100, stringMap)) })),
    filters: maybe(atMost(500, z.array(z.unknown()))),
    /** A Sequence. */
    steps: maybe(atMost(MAX_FLOW_STEPS, z.array(stepSpec).min(1, "must have at least one"))),
    /** A Parallel. Without `join` each answer goes to `reply` by itself. */
    branches: maybe(branches),
    join: maybe(join),
    catch: catches,
    reply: maybe(subscriberSpec),
    /** Of a whole run. */
    timeout: maybe(duration),
    /** Events start no runs; those under way go on. */
    suspend: maybe(z.boolean("must be true or false")),
    /** Knative's; there are no channels here, and nothing is done with it. */
    channelTemplate: maybe(z.unknown()),
  })
  .superRefine((flow, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
    if ((flow.steps === undefined) === (flow.branches === undefined)) issue([], "must have one of steps and branches");
    if (flow.join !== undefined && !flow.branches) issue(["join"], "must not be there without branches");
    if (flow.catch && !flow.branches) issue(["catch"], "must be in a step");
    if (typeof flow.join === "number" && flow.branches && flow.join > flow.branches.length) {
      issue(["join"], `must be at most ${flow.branches.length}, as many as there are branches`);
    }
    if (flow.broker === undefined && (flow.filter || flow.filters)) issue(["broker"], "is required for filters");
    for (const [place, name] of duplicates("branch", flow.branches ?? []))
      issue(["branches", String(place), "name"], named(name));
    for (const [place, name] of duplicates("step", flow.steps ?? []))
      issue(["steps", String(place), "name"], named(name));
    checkNexts(flow.steps ?? [], issue);
  });
export type FlowSpec = z.output<typeof flowSpec>;

const named = (name: string) => `${name} is taken, by another one or by the platform`;

/** Of a step or branch that has none: its place, counted from 1. */
export function defaultName(prefix: "step" | "branch", place: number): string {
  return `${prefix}-${place + 1}`;
}

function* duplicates(
  prefix: "step" | "branch",
  list: readonly { readonly name?: string | undefined }[],
): Generator<[number, string]> {
  const seen = new Set(RESERVED);
  for (const [place, { name = defaultName(prefix, place) }] of list.entries()) {
    if (seen.has(name)) yield [place, name];
    seen.add(name);
  }
}

function checkNexts(steps: readonly StepSpec[], issue: (path: string[], message: string) => void): void {
  const names = new Set(steps.map(({ name }, place) => name ?? defaultName("step", place)));
  for (const [place, step] of steps.entries()) {
    for (const [nth, { next }] of (step.catch ?? []).entries()) {
      if (next === undefined || next === "end" || names.has(next)) continue;
      issue(["steps", String(place), "catch", String(nth), "next"], `there is no step ${next}`);
    }
  }
}

/** @throws {FaasError} `invalid`, naming every field that is wrong and its rule */
export function decodeFlowSpec(value: unknown, what = "flow"): FlowSpec {
  return decode(flowSpec, value, what);
}

/** A flow's name is part of those of its runs, so it is shorter than other names. */
export function isFlowName(name: string): boolean {
  return name.length <= MAX_FLOW_NAME_CHARS && isDnsLabel(name);
}

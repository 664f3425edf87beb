import { randomBytes } from "node:crypto";
import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import { encodeJsonEvent } from "../codec/json.ts";
import type { EventDelivery, NewEvent } from "../store/event-store.ts";
import type { Transforms } from "../transforms/transforms.ts";
import type { SubscriberAnswer, TryOrder } from "../triggers/trigger.ts";
import { Course, callsOf, type Position } from "./course.ts";
import { ATTEMPT_HEADER, type Place, readErrorEvent, readPlace, viaOf, wrapAnswer } from "./flow-events.ts";
import type { FlowPlan, PlannedCall, PlannedStep } from "./plan.ts";
import { endRun, latestStep, markStep, type Run, runNameOf, type StepMark, staleness } from "./run.ts";
import { inputKey, type RunStore } from "./run-store.ts";
import type { RunsUnderWay } from "./runs-under-way.ts";
import { readStepError, type StepError } from "./step-error.ts";

/**
 * Version that has a function's calls now, e.g. `v3`; undefined where that is not known.
 * @param run whose calls all go to the same one of several that share them
 */
export type CurrentVersion = (ref: FunctionRef, run: string) => string | undefined;

export interface FlowDeps {
  readonly runs: RunStore;
  readonly transforms: Pick<Transforms, "transform" | "evaluate">;
  readonly currentVersion: CurrentVersion;
  readonly maxEventBytes: number;
  readonly now: () => number;
  /** For deadlines: what is over by it is over, however the clock is set. */
  readonly overNow: () => number;
  /** Runs that have not ended. */
  readonly underWay: RunsUnderWay;
}

/** Data beyond this is kept until it is delivered, and by runs until they are forgotten. */
const LEDGER_BYTES = 64 * 1024;

/** What a delivery to a run finds. */
interface Arrival extends Position {
  readonly run: Run;
  readonly place: Place;
  readonly delivery: EventDelivery;
}

const done = (note: string): TryOrder => ({ kind: "done", note });

/** The steps of one flow, as its triggers take them. */
export class FlowSteps {
  readonly plan: FlowPlan;
  readonly course: Course;
  readonly deps: FlowDeps;
  readonly #order: readonly string[];

  constructor(plan: FlowPlan, deps: FlowDeps) {
    this.plan = plan;
    this.deps = deps;
    this.course = new Course(plan, deps.maxEventBytes, deps.now);
    this.#order = stepOrder(plan);
  }

  /** An event that starts a run: of the flow's broker, or one that was asked for by name. */
  async start(delivery: EventDelivery): Promise<TryOrder> {
    const { plan, deps, course } = this;
    const { event, ref, via } = delivery.event;
    const { replay } = delivery;
    // What is replayed runs anew.
    const asked = via === viaOf(plan) && replay === undefined ? readPlace(delivery) : undefined;
    const begunBy = replay === undefined ? ref : `${ref}/replay/${replay}`;
    deps.underWay.admit(plan);
    const name = asked?.run ?? runNameOf(plan.namespace, plan.name, begunBy);
    const run = await deps.runs.create(plan.namespace, name, this.newRun(name, event, ref));
    const place = { run: name, round: 0, visit: 0 };
    if (run.state !== "running") return done(`the run is ${run.state}`);
    return { kind: "done", note: `started ${name}`, appended: course.begin({ place, delivery }, event) };
  }

  newRun(name: string, { attributes }: CloudEvent, ref: string | undefined): Run {
    const { plan, deps } = this;
    const now = deps.now();
    return {
      flow: plan.name,
      state: "running",
      startedAt: now,
      deadlineAt: now + plan.timeoutMs,
      startedBy: {
        source: String(attributes.source),
        id: String(attributes.id),
        type: String(attributes.type),
        ...(ref !== undefined && { ref }),
      },
      pins: this.#pins(name),
      round: 0,
      steps: {},
      joins: {},
    };
  }

  #pins(run: string): Record<string, string> {
    const pins: Record<string, string> = {};
    for (const [key, { subscriber }] of callsOf(this.plan)) {
      if (subscriber.kind !== "function" || subscriber.version !== undefined) continue;
      const version = this.deps.currentVersion(subscriber.function, run);
      if (version !== undefined) pins[key] = version;
    }
    return pins;
  }

  /** What a delivery to a run finds, or why it finds nothing to do. */
  async arrive(delivery: EventDelivery): Promise<Arrival | string> {
    const { plan, deps } = this;
    const place = readPlace(delivery);
    if (!place) return "it is no event of a run";
    const run = await deps.runs.get(plan.namespace, place.run);
    const stale = staleness(run, place.round, deps.overNow());
    if (!run || stale !== undefined) {
      if (run?.state === "running" && run.round === place.round) await this.#timeOut(place.run);
      return stale ?? "";
    }
    return { run, place, delivery };
  }

  /** What a part of a fan-out finds, also when its run has stopped: what is done is done. */
  async arrivePart(delivery: EventDelivery): Promise<Arrival | undefined> {
    const place = readPlace(delivery);
    const run = place && (await this.deps.runs.get(this.plan.namespace, place.run));
    return place && run && { run, place, delivery };
  }

  async #timeOut(name: string): Promise<void> {
    const { deps, plan } = this;
    const over = deps.overNow();
    await deps.runs.change(plan.namespace, name, (run) =>
      over >= run.deadlineAt ? endRun(run, { state: "timed-out" }, deps.now()) : run,
    );
  }

  /** Writes down that a step has begun. @returns undefined when its run has ended meanwhile */
  async mark(key: string, arrival: Arrival): Promise<StepMark | undefined> {
    const { deps, plan } = this;
    const { place, delivery } = arrival;
    const { ref, event } = delivery.event;
    if ((event.data?.length ?? 0) > LEDGER_BYTES) {
      await deps.runs.putBytes(plan.namespace, inputKey(place.run, key), event.data as Buffer);
    }
    const now = deps.now();
    const over = deps.overNow();
    const run = await deps.runs.change(plan.namespace, place.run, (run) =>
      staleness(run, place.round, over) === undefined ? markStep(run, key, place.visit, ref, now) : run,
    );
    return run && staleness(run, place.round, over) === undefined ? run.steps[key] : undefined;
  }

  /** Before a step's subscriber, or the flow's `reply`, is given an event. */
  async tryCall(key: string, delivery: EventDelivery): Promise<TryOrder> {
    const arrival = await this.arrive(delivery);
    if (typeof arrival === "string") return done(arrival);
    const mark = await this.mark(key, arrival);
    if (!mark) return done("the run has ended");
    return this.send(arrival.run, key, mark.tries);
  }

  /** To the version that the function had when the run began. */
  send({ pins }: Run, key: string, tries: number): TryOrder {
    const version = pins[key];
    const headers = [[ATTEMPT_HEADER, String(tries)]] as const;
    return { kind: "send", headers, ...(version !== undefined && { version }) };
  }

  /** A step that needs nobody: a wait that is over, or a transform. */
  async tryOwn(step: PlannedStep, delivery: EventDelivery): Promise<TryOrder> {
    const arrival = await this.arrive(delivery);
    if (typeof arrival === "string") return done(arrival);
    if (!(await this.mark(step.name, arrival))) return done("the run has ended");
    const { event } = delivery.event;
    if (step.kind !== "transform") return { kind: "done", appended: this.course.after(arrival, step, event) };
    try {
      const made = await this.deps.transforms.transform(step.expression, event);
      return { kind: "done", appended: this.course.after(arrival, step, made) };
    } catch (error) {
      const failure = expressionError("Transform", error);
      return { kind: "done", note: failure.cause, appended: this.course.fail(arrival, step, failure) };
    }
  }

  /** The list that a map goes through. */
  evaluateItems(expression: string, event: CloudEvent): Promise<unknown> {
    return this.deps.transforms.evaluate(expression, encodeJsonEvent(event).toString());
  }

  async answered(
    step: PlannedStep,
    delivery: EventDelivery,
    reply: CloudEvent | undefined,
    answer: SubscriberAnswer,
  ): Promise<NewEvent[]> {
    const arrival = await this.arrive(delivery);
    if (typeof arrival === "string" || step.kind !== "call") return [];
    return this.course.after(arrival, step, this.replyOf(step.call, arrival, reply, answer));
  }

  async dead(
    step: PlannedStep,
    delivery: EventDelivery,
    reason: string,
    answer: SubscriberAnswer | undefined,
  ): Promise<NewEvent[]> {
    const arrival = await this.arrive(delivery);
    return typeof arrival === "string" ? [] : this.course.fail(arrival, step, readStepError(reason, answer));
  }

  /**
   * The event that a subscriber has answered: its own, one of what it said otherwise, or what it was given where it is not to
   * say anything.
   */
  replyOf(
    { subscriber, delivery: { reply: rule } }: PlannedCall,
    { place, delivery }: Position,
    reply: CloudEvent | undefined,
    { status, body, contentType }: SubscriberAnswer,
  ): CloudEvent | undefined {
    const given = delivery.event.event;
    if (subscriber.kind === "sink" || subscriber.kind === "broker" || rule === "none") return given;
    if (reply) return reply;
    if (status !== 200 || !body || body.length === 0) return undefined;
    const id = `${place.run}.${place.visit}${place.item === undefined ? "" : `.${place.item}`}`;
    return wrapAnswer(this.plan, id, given, body, contentType);
  }

  /** The flow's `reply` has its event: the run ends. */
  async replied(delivery: EventDelivery): Promise<NewEvent[]> {
    const arrival = await this.arrive(delivery);
    if (typeof arrival === "string" || arrival.place.item !== undefined) return [];
    return [this.course.end(arrival, delivery.event.event, "done")];
  }

  async replyDead(
    delivery: EventDelivery,
    reason: string,
    answer: SubscriberAnswer | undefined,
  ): Promise<readonly NewEvent[]> {
    const arrival = await this.arrive(delivery);
    if (typeof arrival === "string" || arrival.place.item !== undefined) return [];
    const event = this.course.errorOf(arrival, "reply", readStepError(reason, answer));
    return [this.course.end(arrival, event, "failed")];
  }

  /** Before a reply that is no step of the run, which may have ended. */
  async tryReply(key: string, delivery: EventDelivery): Promise<TryOrder> {
    const isStep = key === "reply" && readPlace(delivery)?.item === undefined;
    return isStep ? await this.tryCall(key, delivery) : { kind: "send", headers: [] };
  }

  async end(delivery: EventDelivery): Promise<TryOrder> {
    const arrival = await this.arrive(delivery);
    if (typeof arrival === "string") return done(arrival);
    const { plan, deps } = this;
    const { place } = arrival;
    const { event, ref } = delivery.event;
    const now = deps.now();
    await deps.runs.change(plan.namespace, place.run, (run) => {
      if (run.round !== place.round) return run;
      if (place.outcome === "failed") return endRun(run, { state: "failed", error: readErrorEvent(event) }, now);
      const endedAtStep = latestStep(run, this.#order);
      if (place.outcome === "empty" && endedAtStep !== undefined) {
        return endRun(run, { state: "succeeded", endedAtStep }, now);
      }
      const type = event.attributes.datacontenttype;
      const result = {
        ref,
        bytes: event.data?.length ?? 0,
        ...(type !== undefined && { contentType: String(type) }),
      };
      return endRun(run, { state: "succeeded", result }, now);
    });
    return { kind: "done" };
  }
}

/** The names of a flow's steps, in order. */
export function stepOrder({ steps, reply }: FlowPlan): string[] {
  return [...steps.map(({ name }) => name), ...(reply ? ["reply"] : [])];
}

/** A name for a run that is asked for. */
export function newRunName(flow: string): string {
  return `${flow}.${randomBytes(10).toString("hex")}`;
}

/** Why an expression gave nothing to go on with. @throws what has nothing to do with it, and may be over later */
export function expressionError(errorType: string, error: unknown): StepError {
  if (error instanceof FaasError && (error.kind === "unprocessable" || error.kind === "timeout")) {
    return { errorType, cause: error.message };
  }
  throw error;
}

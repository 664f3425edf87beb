import { MAX_MAP_ITEMS } from "../../contract/events/flow-spec.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { EventDelivery, NewEvent } from "../store/event-store.ts";
import type { SubscriberAnswer, TryOrder } from "../triggers/trigger.ts";
import { branchKey, filterKey, itemKey, joinKey, type Position, replyKey } from "./course.ts";
import { elementOf, itemEvent, joinedEvent, type Place, readErrorEvent, type StepOutcome } from "./flow-events.ts";
import { expressionError, type FlowSteps } from "./flow-steps.ts";
import { doneParts, foldPart, type JoinState, type JoinVerdict, judgeEmpty, openJoin, openParts } from "./join.ts";
import type { MapStep, ParallelStep, PlannedBranch } from "./plan.ts";
import { type Run, staleness } from "./run.ts";
import { partKey } from "./run-store.ts";
import { readStepError, type StepError } from "./step-error.ts";

/** Items that a map gives out at a time: all that a settlement appends is written together. */
const CHUNK = 100;
/** A list as JSON. */
const MAX_JOINED_CHARS = 1024 * 1024;

const done = (note: string): TryOrder => ({ kind: "done", note });

/** Steps whose parts go on beside each other, until they join. */
export class FanOut {
  readonly #steps: FlowSteps;
  readonly #step: MapStep | ParallelStep;

  constructor(steps: FlowSteps, step: MapStep | ParallelStep) {
    this.#steps = steps;
    this.#step = step;
  }

  /** The event that is given to all parts, or a list of them. */
  async enter(delivery: EventDelivery): Promise<TryOrder> {
    const steps = this.#steps;
    const step = this.#step;
    const arrival = await steps.arrive(delivery);
    if (typeof arrival === "string") return done(arrival);
    const failed = (error: StepError): TryOrder => ({
      kind: "done",
      note: error.cause,
      appended: steps.course.fail(arrival, step, error),
    });
    const { place } = arrival;
    if (place.from === undefined && !(await steps.mark(step.name, arrival))) return done("the run has ended");
    const items = step.kind === "map" ? await this.#items(step, delivery.event.event) : undefined;
    if (items && !Array.isArray(items)) return failed(items);
    const count = items?.length ?? (step as ParallelStep).branches.length;
    const run = await this.#open(place, count);
    const join = run?.joins[step.name];
    if (!join) return done("the run has ended");
    if (join.parts.length !== count) return failed({ errorType: "Items", cause: "the list is another one each time" });
    const open = openParts(join).filter((part) => part >= (place.from ?? 0));
    if (open.length === 0 && place.from === undefined) {
      if (join.join === 1) return failed({ errorType: "Join", cause: "the answer of the first branch is not kept" });
      const verdict: JoinVerdict = count === 0 ? judgeEmpty(join.join) : { kind: "joined" };
      return { kind: "done", appended: await this.#follow(arrival, join, verdict, delivery.event.event) };
    }
    const now = open.slice(0, CHUNK);
    const rest = open[CHUNK];
    return {
      kind: "done",
      note: `${now.length} of ${count} parts`,
      appended: [
        ...now.map((part) => this.#begin(arrival, part, delivery.event.event, items?.[part])),
        ...(rest === undefined ? [] : [steps.course.next(arrival, step.name, delivery.event.event, { from: rest })]),
      ],
    };
  }

  async #items(step: MapStep, event: CloudEvent): Promise<unknown[] | StepError> {
    let value: unknown;
    try {
      value = await this.#steps.evaluateItems(step.items, event);
    } catch (error) {
      return expressionError("Items", error);
    }
    // JSONata gives a list of one as its member.
    const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
    if (list.length <= MAX_MAP_ITEMS) return list;
    return { errorType: "Items", cause: `the list has ${list.length} items; at most ${MAX_MAP_ITEMS} are taken` };
  }

  /** Has the run know of its parts. */
  async #open(place: Place, count: number): Promise<Run | undefined> {
    const { deps, plan } = this.#steps;
    const { name } = this.#step;
    const join = this.#step.kind === "map" ? "all" : this.#step.join;
    return await deps.runs.change(plan.namespace, place.run, (run) => {
      if (staleness(run, place.round, deps.overNow()) !== undefined || run.joins[name]?.visit === place.visit)
        return run;
      return { ...run, joins: { ...run.joins, [name]: openJoin(place.visit, join, count) } };
    });
  }

  #begin(position: Position, part: number, event: CloudEvent, item: unknown): NewEvent {
    const { course, plan } = this.#steps;
    const step = this.#step;
    if (step.kind === "map") {
      const { run, visit } = position.place;
      const given = itemEvent(plan, `${run}.${step.name}.${visit}.${part}`, event, item);
      // As many of them as may run at a time, each with its items one after another.
      const orderKey = `${run}.${step.name}.${part % step.concurrency}`;
      return course.next(position, itemKey(step.name), given, { item: part, orderKey });
    }
    const { name, filter } = step.branches[part] as PlannedBranch;
    return course.next(position, filter ? filterKey(step.name, name) : branchKey(step.name, name), event, {
      item: part,
    });
  }

  /** Before a part's filter or subscriber is given its event. @param trigger its key */
  async tryPart(trigger: string, delivery: EventDelivery): Promise<TryOrder> {
    const steps = this.#steps;
    const arrival = await steps.arrive(delivery);
    if (typeof arrival === "string") return done(arrival);
    const { run, place } = arrival;
    const join = run.joins[this.#step.name];
    const { item } = place;
    if (!join || join.visit !== place.visit || item === undefined) return done("the step is over");
    if (join.decidedBy !== undefined || join.parts[item] !== ".")
      return done("it is clear without it how the step ends");
    const key = partKey(place.run, this.#step.name, item);
    const before = await steps.deps.runs.part(steps.plan.namespace, key);
    const tries = before?.visit === place.visit ? before.tries + 1 : 1;
    await steps.deps.runs.putPart(steps.plan.namespace, key, { visit: place.visit, tries });
    return steps.send(run, trigger, tries);
  }

  /** A filter has answered: with an event that is to go on, or without one. */
  async filtered(branch: PlannedBranch, delivery: EventDelivery, reply: CloudEvent | undefined): Promise<NewEvent[]> {
    const arrival = await this.#steps.arrivePart(delivery);
    if (!arrival) return [];
    const { item = 0 } = arrival.place;
    if (!reply) return [this.#tell(arrival, item, "empty", delivery.event.event)];
    return [this.#steps.course.next(arrival, branchKey(this.#step.name, branch.name), reply, { item })];
  }

  async answered(
    branch: PlannedBranch | undefined,
    delivery: EventDelivery,
    reply: CloudEvent | undefined,
    answer: SubscriberAnswer,
  ): Promise<NewEvent[]> {
    const steps = this.#steps;
    const arrival = await steps.arrivePart(delivery);
    if (!arrival) return [];
    const step = this.#step;
    const { item = 0 } = arrival.place;
    const call = step.kind === "map" ? step.call : (branch as PlannedBranch).call;
    const event = steps.replyOf(call, arrival, reply, answer);
    // A list has a place for each item, whatever came of it.
    if (!event) return [this.#tell(arrival, item, step.kind === "map" ? "done" : "empty", nothing(delivery))];
    const toBranch = branch?.reply && replyKey(step.name, branch.name);
    const toFlow = step.kind === "parallel" && step.join === "none" && steps.plan.reply ? "reply" : undefined;
    const to = toBranch ?? toFlow;
    return [
      ...(to === undefined ? [] : [steps.course.next(arrival, to, event, { item })]),
      this.#tell(arrival, item, "done", event),
    ];
  }

  async dead(delivery: EventDelivery, reason: string, answer: SubscriberAnswer | undefined): Promise<NewEvent[]> {
    const arrival = await this.#steps.arrivePart(delivery);
    if (!arrival) return [];
    const event = this.#steps.course.errorOf(arrival, this.#step.name, readStepError(reason, answer));
    return [this.#tell(arrival, arrival.place.item ?? 0, "failed", event)];
  }

  /** The parts of one run are told one after another. */
  #tell(position: Position, item: number, outcome: StepOutcome, event: CloudEvent): NewEvent {
    const key = joinKey(this.#step.name);
    const orderKey = `${position.place.run}.${key}`;
    return this.#steps.course.next(position, key, event, { item, outcome, orderKey });
  }

  /** Takes note of what came of one part. */
  async join(delivery: EventDelivery): Promise<TryOrder> {
    const steps = this.#steps;
    const { runs, overNow } = steps.deps;
    const { namespace } = steps.plan;
    const { name } = this.#step;
    const arrival = await steps.arrivePart(delivery);
    if (!arrival) return done("the run is not kept any more");
    const { place } = arrival;
    const { item = 0, outcome = "done" } = place;
    const isOld = (run: Run) => outcome === "failed" && (run.state !== "running" || run.round !== place.round);
    const before = arrival.run.joins[name];
    if (!before || before.visit !== place.visit || isOld(arrival.run)) return done("the step is over");
    const { event } = delivery.event;
    await this.#keep(place, item, outcome, event, before);
    let verdict: JoinVerdict = { kind: "open" };
    const run = await runs.change(namespace, place.run, (run) => {
      const join = run.joins[name];
      verdict = { kind: "open" };
      if (!join || join.visit !== place.visit || isOld(run)) return run;
      const folded = foldPart(join, item, outcome);
      if (staleness(run, run.round, overNow()) === undefined) verdict = folded.verdict;
      else if (folded.verdict.kind !== "open" && join.decidedBy === undefined) {
        // A run that has stopped decides nothing; it is decided anew when it goes on.
        const { decidedBy: _, ...undecided } = folded.state;
        return { ...run, joins: { ...run.joins, [name]: undecided } };
      }
      return folded.state === join ? run : { ...run, joins: { ...run.joins, [name]: folded.state } };
    });
    const join = run?.joins[name];
    if (!run || !join || (verdict as JoinVerdict).kind === "open") return { kind: "done" };
    const position = { place: { ...place, round: run.round }, delivery };
    return { kind: "done", appended: await this.#follow(position, join, verdict, event) };
  }

  /** Keeps what a part has given until all of them are there. */
  async #keep(place: Place, item: number, outcome: StepOutcome, event: CloudEvent, join: JoinState): Promise<void> {
    const { runs } = this.#steps.deps;
    const { namespace } = this.#steps.plan;
    const key = partKey(place.run, this.#step.name, item);
    const listed = join.join !== "none" && join.join !== 1;
    if (outcome === "empty" || (outcome === "done" && !listed) || join.parts[item] !== ".") return;
    const known = (await runs.part(namespace, key)) ?? { visit: place.visit, tries: 1 };
    if (outcome === "failed") {
      await runs.putPart(namespace, key, { ...known, error: readErrorEvent(event) });
      return;
    }
    await runs.putResult(namespace, key, known, elementOf(event));
  }

  /** @param event of the part that has decided it */
  async #follow(position: Position, join: JoinState, verdict: JoinVerdict, event: CloudEvent): Promise<NewEvent[]> {
    const { course, deps, plan } = this.#steps;
    const step = this.#step;
    const { run, visit } = position.place;
    if (verdict.kind === "failed") {
      const part = await deps.runs.part(plan.namespace, partKey(run, step.name, verdict.part));
      const error = part?.error ?? { errorType: "Join", cause: "a part has failed" };
      return course.fail(position, step, error);
    }
    if (verdict.kind !== "joined") {
      return join.join === "none" ? [course.end(position, event, "done")] : course.after(position, step, undefined);
    }
    if (join.join === 1) return course.after(position, step, event);
    const keys = doneParts(join).map((part) => partKey(run, step.name, part));
    const elements: string[] = [];
    let chars = 0;
    for (const element of await deps.runs.getResults(plan.namespace, keys)) {
      if (element === undefined) return course.fail(position, step, { errorType: "Join", cause: "a result is gone" });
      elements.push(element);
      chars += element.length + 1;
    }
    if (chars > MAX_JOINED_CHARS) {
      const cause = `the results have more than ${MAX_JOINED_CHARS} characters together`;
      return course.fail(position, step, { errorType: "TooLarge", cause });
    }
    const joined = joinedEvent(plan, `${run}.${step.name}.${visit}`, step.name, elements);
    return course.after(position, step, joined);
  }
}

/** An event that says nothing, in the place of one that was not answered. */
function nothing({ event }: EventDelivery): CloudEvent {
  return { attributes: event.event.attributes };
}

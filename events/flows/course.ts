import type { CloudEvent, EventValue } from "../codec/cloud-event.ts";
import type { EventDelivery, NewEvent } from "../store/event-store.ts";
import { buildFlowEvent, errorEvent, type Place, type StepOutcome, sizeOf } from "./flow-events.ts";
import type { FlowPlan, PlannedCall, PlannedStep, PlannedWait } from "./plan.ts";
import { MAX_VISITS } from "./run.ts";
import { findCatch, type StepError } from "./step-error.ts";

/** Where a run is, and what it has in hand. */
export interface Position {
  readonly place: Place;
  readonly delivery: Pick<EventDelivery, "event">;
}

interface NextOptions {
  readonly visit?: number;
  readonly item?: number;
  readonly from?: number;
  readonly outcome?: StepOutcome;
  readonly notBefore?: number;
  readonly orderKey?: string;
}

/** Says what follows what in a flow. Pure but for the time. */
export class Course {
  readonly plan: FlowPlan;
  readonly #maxEventBytes: number;
  readonly #now: () => number;

  constructor(plan: FlowPlan, maxEventBytes: number, now: () => number) {
    this.plan = plan;
    this.#maxEventBytes = maxEventBytes;
    this.#now = now;
  }

  /** From the start, or after the step of that number. */
  begin(position: Position, event: CloudEvent, place = 0): NewEvent[] {
    const step = this.plan.steps[place];
    if (!step) return [this.plan.reply ? this.next(position, "reply", event, {}) : this.end(position, event, "done")];
    return this.enter(position, step, event);
  }

  /** The event that a step begins with. */
  enter(position: Position, step: PlannedStep, event: CloudEvent): NewEvent[] {
    const visit = position.place.visit + 1;
    if (visit > MAX_VISITS) {
      return [this.#failed(position, step.name, { errorType: "Loop", cause: `more than ${MAX_VISITS} steps` })];
    }
    const size = sizeOf(event, position.delivery.event.headers);
    if (size > this.#maxEventBytes) return this.fail(position, step, tooLarge(size, this.#maxEventBytes));
    if (step.kind !== "wait") return [this.next(position, step.name, event, { visit })];
    const until = waitEnd(step.wait, event.attributes, this.#now());
    if (until !== undefined) return [this.next(position, step.name, event, { visit, notBefore: until })];
    const { attribute } = step.wait as Extract<PlannedWait, { kind: "until" }>;
    return this.fail(position, step, {
      errorType: "Wait",
      cause: `attribute ${attribute} is no time as in RFC 3339`,
    });
  }

  /** What follows what a step has answered. @param answer undefined for an empty one, which ends the run */
  after(position: Position, step: PlannedStep, answer: CloudEvent | undefined): NewEvent[] {
    if (answer === undefined) return [this.end(position, position.delivery.event.event, "empty")];
    const size = sizeOf(answer, position.delivery.event.headers);
    if (size > this.#maxEventBytes) return this.fail(position, step, tooLarge(size, this.#maxEventBytes));
    return this.begin(position, answer, this.plan.steps.indexOf(step) + 1);
  }

  /** What follows the failure of a step. */
  fail(position: Position, step: PlannedStep, error: StepError): NewEvent[] {
    const found = findCatch(step.catches, error);
    if (!found) return [this.#failed(position, step.name, error)];
    const { caught, place } = found;
    const event = this.errorOf(position, step.name, error);
    const end = () => this.end(position, event, "done");
    if (caught.reply) return [this.next(position, catchKey(step.name, place), event, {}), end()];
    const next = this.plan.steps.find(({ name }) => name === caught.next);
    return next ? this.enter(position, next, event) : [end()];
  }

  errorOf({ place, delivery }: Position, step: string, error: StepError): CloudEvent {
    const id = `${place.run}.${step}.${place.visit}.error`;
    return errorEvent(this.plan, id, { ...error, step }, delivery.event.event, this.#maxEventBytes);
  }

  #failed(position: Position, step: string, error: StepError): NewEvent {
    return this.end(position, this.errorOf(position, step, error), "failed");
  }

  end(position: Position, event: CloudEvent, outcome: StepOutcome): NewEvent {
    return this.next(position, "end", event, { outcome });
  }

  next({ place, delivery }: Position, key: string, event: CloudEvent, options: NextOptions): NewEvent {
    const { visit = place.visit, item, from, outcome, notBefore, orderKey } = options;
    return buildFlowEvent({
      plan: this.plan,
      key,
      place: {
        run: place.run,
        round: place.round,
        visit,
        ...(item !== undefined && { item }),
        ...(from !== undefined && { from }),
        ...(outcome !== undefined && { outcome }),
      },
      event,
      headers: delivery.event.headers,
      hops: delivery.event.hops,
      now: this.#now(),
      notBefore,
      orderKey,
    });
  }
}

function tooLarge(size: number, limit: number): StepError {
  return { errorType: "TooLarge", cause: `the event has ${size} bytes; at most ${limit} are kept` };
}

/** When a wait is over; undefined when the event does not say. */
function waitEnd(wait: PlannedWait, attributes: Readonly<Record<string, EventValue>>, now: number): number | undefined {
  if (wait.kind === "duration") return now + wait.ms;
  const value = attributes[wait.attribute];
  const time = typeof value === "string" && /^\d{4}-\d\d-\d\dT/i.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** All functions that a flow calls, by trigger. */
export function* callsOf(plan: FlowPlan): Generator<readonly [key: string, call: PlannedCall]> {
  for (const step of plan.steps) {
    if (step.kind === "call") yield [step.name, step.call];
    if (step.kind === "map") yield [itemKey(step.name), step.call];
    if (step.kind === "parallel") {
      for (const { name, filter, call, reply } of step.branches) {
        if (filter) yield [filterKey(step.name, name), filter];
        yield [branchKey(step.name, name), call];
        if (reply) yield [replyKey(step.name, name), reply];
      }
    }
    for (const [place, { reply }] of step.catches.entries()) if (reply) yield [catchKey(step.name, place), reply];
  }
  if (plan.reply) yield ["reply", plan.reply];
}

export const itemKey = (step: string) => `${step}.item`;
export const joinKey = (step: string) => `${step}.join`;
export const branchKey = (step: string, branch: string) => `${step}.${branch}`;
export const filterKey = (step: string, branch: string) => `${step}.${branch}.filter`;
export const replyKey = (step: string, branch: string) => `${step}.${branch}.reply`;
export const catchKey = (step: string, place: number) => `${step}.catch-${place}.reply`;

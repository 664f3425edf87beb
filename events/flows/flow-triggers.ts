import { DEFAULT_TRIGGER_CONCURRENCY } from "../../contract/events/trigger-spec.ts";
import type { DeliveryPolicy } from "../delivery/delivery-policy.ts";
import type { Subscriber, Trigger } from "../triggers/trigger.ts";
import { branchKey, catchKey, filterKey, itemKey, joinKey, replyKey } from "./course.ts";
import { FanOut } from "./fan-out.ts";
import { stepTriggerId } from "./flow-events.ts";
import type { FlowSteps } from "./flow-steps.ts";
import { FLOW_BROKER, MAX_RUN_MS, type ParallelStep, type PlannedCall, type PlannedStep } from "./plan.ts";

type Hooks = Pick<Trigger, "onTry" | "onAnswer" | "onDead">;

/** What only the platform does is tried until it can be done, as long as a run may take. */
const OWN_POLICY: DeliveryPolicy = {
  retries: 1_000_000,
  backoff: "exponential",
  delayMs: 100,
  maxDelayMs: 30_000,
  timeoutMs: 60_000,
  maxAgeMs: MAX_RUN_MS,
};
const OWN_CONCURRENCY = 100;

/** The triggers of a flow: one for its start and end, and for each step and what belongs to it. */
export function buildFlowTriggers(steps: FlowSteps, declared: string): Trigger[] {
  return new FlowTriggers(steps, declared).all();
}

class FlowTriggers {
  readonly #steps: FlowSteps;
  readonly #declared: string;

  constructor(steps: FlowSteps, declared: string) {
    this.#steps = steps;
    this.#declared = declared;
  }

  all(): Trigger[] {
    const { plan } = this.#steps;
    const steps = this.#steps;
    const start: Trigger = {
      ...this.#own("start", { onTry: (delivery) => steps.start(delivery) }),
      ...(plan.broker && { broker: plan.broker, filter: plan.filter }),
      ...(plan.suspended && { stopped: "suspended", suspended: true }),
    };
    return [
      start,
      ...plan.steps.flatMap((step) => [...this.#ofStep(step), ...this.#ofCatches(step)]),
      ...(plan.reply
        ? [
            this.#call("reply", plan.reply, {
              onTry: (delivery) => steps.tryReply("reply", delivery),
              onAnswer: (delivery) => steps.replied(delivery),
              onDead: (delivery, reason, answer) => steps.replyDead(delivery, reason, answer),
            }),
          ]
        : []),
      this.#own("end", { onTry: (delivery) => steps.end(delivery) }),
    ];
  }

  #ofStep(step: PlannedStep): Trigger[] {
    const steps = this.#steps;
    if (step.kind === "call") {
      return [
        this.#call(step.name, step.call, {
          onTry: (delivery) => steps.tryCall(step.name, delivery),
          onAnswer: (delivery, reply, answer) => steps.answered(step, delivery, reply, answer),
          onDead: (delivery, reason, answer) => steps.dead(step, delivery, reason, answer),
        }),
      ];
    }
    if (step.kind === "wait" || step.kind === "transform") {
      return [this.#own(step.name, { onTry: (delivery) => steps.tryOwn(step, delivery) })];
    }
    const fanOut = new FanOut(steps, step);
    const parts =
      step.kind === "parallel"
        ? this.#ofBranches(step, fanOut)
        : [
            {
              ...this.#call(itemKey(step.name), step.call, this.#part(fanOut, itemKey(step.name), undefined)),
              concurrency: Math.max(DEFAULT_TRIGGER_CONCURRENCY, step.concurrency),
            },
          ];
    return [
      this.#own(step.name, { onTry: (delivery) => fanOut.enter(delivery) }),
      ...parts,
      this.#own(joinKey(step.name), { onTry: (delivery) => fanOut.join(delivery) }),
    ];
  }

  #ofBranches(step: ParallelStep, fanOut: FanOut): Trigger[] {
    return step.branches.flatMap((branch) => {
      const { name, filter, call, reply } = branch;
      const hooks = (key: string) => this.#part(fanOut, key, branch);
      return [
        ...(filter
          ? [
              this.#call(filterKey(step.name, name), filter, {
                ...hooks(filterKey(step.name, name)),
                onAnswer: (delivery, reply) => fanOut.filtered(branch, delivery, reply),
              }),
            ]
          : []),
        this.#call(branchKey(step.name, name), call, hooks(branchKey(step.name, name))),
        ...(reply ? [this.#reply(replyKey(step.name, name), reply)] : []),
      ];
    });
  }

  #ofCatches(step: PlannedStep): Trigger[] {
    return step.catches.flatMap(({ reply }, place) => (reply ? [this.#reply(catchKey(step.name, place), reply)] : []));
  }

  #part(fanOut: FanOut, key: string, branch: ParallelStep["branches"][number] | undefined): Hooks {
    return {
      onTry: (delivery) => fanOut.tryPart(key, delivery),
      onAnswer: (delivery, reply, answer) => fanOut.answered(branch, delivery, reply, answer),
      onDead: (delivery, reason, answer) => fanOut.dead(delivery, reason, answer),
    };
  }

  /** Gets a result, and nothing follows. */
  #reply(key: string, call: PlannedCall): Trigger {
    return this.#call(key, call, {
      onTry: (delivery) => this.#steps.tryReply(key, delivery),
      onAnswer: async () => [],
    });
  }

  #own(key: string, hooks: Hooks): Trigger {
    const { namespace } = this.#steps.plan;
    // Nothing is ever sent to it: `onTry` deals with all that comes.
    const subscriber: Subscriber = { kind: "broker", broker: { namespace, name: FLOW_BROKER } };
    return { ...this.#bare(key, subscriber, OWN_POLICY), concurrency: OWN_CONCURRENCY, ...hooks };
  }

  #call(key: string, { subscriber, delivery, transform }: PlannedCall, hooks: Hooks): Trigger {
    const { policy, ...rest } = delivery;
    return {
      ...this.#bare(key, subscriber, policy),
      ...rest,
      ...(transform !== undefined && { transform }),
      ...hooks,
    };
  }

  #bare(key: string, subscriber: Subscriber, policy: DeliveryPolicy): Trigger {
    const { plan } = this.#steps;
    return {
      id: stepTriggerId(plan, key),
      namespace: plan.namespace,
      filter: () => ({ passes: true }),
      subscriber,
      policy,
      ordered: false,
      concurrency: DEFAULT_TRIGGER_CONCURRENCY,
      declared: this.#declared,
      keep: "full",
    };
  }
}

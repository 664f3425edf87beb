import { FaasError } from "../../contract/errors.ts";
import type { EventStore, StoredEvent } from "../store/event-store.ts";
import { buildFlowEvent } from "./flow-events.ts";
import { type FlowSteps, stepOrder } from "./flow-steps.ts";
import { type Run, resumeRun } from "./run.ts";
import { inputKey } from "./run-store.ts";

/**
 * Has a run go on with the step where it has stopped: that step is given its event again.
 * @throws {FaasError} `conflict` when it has not stopped, or the step's event is not kept any more
 */
export async function resumeStoppedRun(
  steps: FlowSteps,
  events: Pick<EventStore, "append" | "find">,
  name: string,
): Promise<Run> {
  const { plan, deps } = steps;
  const order = stepOrder(plan);
  const stopped = await deps.runs.get(plan.namespace, name);
  if (!stopped) throw new FaasError("notFound", `there is no run ${name}`, { code: "unknown_run" });
  const { step } = resumeRun(stopped, order, plan.timeoutMs, deps.now());
  const mark = stopped.steps[step];
  const event = mark && (await inputOf(steps, events, name, step, mark.ref));
  if (!mark || !event) throw new FaasError("conflict", `what step ${step} was given is not kept any more`);
  const run = await deps.runs.change(
    plan.namespace,
    name,
    (run) => resumeRun(run, order, plan.timeoutMs, deps.now()).run,
  );
  if (!run) throw new FaasError("notFound", `there is no run ${name}`, { code: "unknown_run" });
  const again = buildFlowEvent({
    plan,
    key: step,
    place: { run: name, round: run.round, visit: mark.visit },
    event: event.event,
    headers: event.headers,
    hops: event.hops,
    now: deps.now(),
  });
  try {
    await events.append([again]);
  } catch (error) {
    // Or it would seem to go on, and could not be resumed.
    await deps.runs.change(plan.namespace, name, (now) => (now.round === run.round ? stopped : now));
    throw error;
  }
  return run;
}

async function inputOf(
  { plan, deps }: FlowSteps,
  events: Pick<EventStore, "find">,
  run: string,
  step: string,
  ref: string,
): Promise<StoredEvent | undefined> {
  const record = await events.find(plan.namespace, ref);
  if (!record) return undefined;
  const { event } = record;
  if (event.event.data !== undefined || record.dataBytes === 0) return event;
  const data = await deps.runs.getBytes(plan.namespace, inputKey(run, step));
  return data?.length === record.dataBytes ? { ...event, event: { ...event.event, data } } : undefined;
}

import { createHash } from "node:crypto";
import { FaasError } from "../../contract/errors.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { EventStore, HeaderList } from "../store/event-store.ts";
import { buildFlowEvent, viaOf } from "./flow-events.ts";
import { type FlowSteps, newRunName } from "./flow-steps.ts";
import type { Run } from "./run.ts";

/** Replies that may follow one from another until they end, as of an event from outside. */
const HOPS = 255;

export interface AskedRun {
  readonly event: CloudEvent;
  /** Go on to what the run calls. */
  readonly headers: HeaderList;
  /** The same key starts one run only. */
  readonly key: string | undefined;
}

/**
 * Starts a run by name. It goes on from here whatever happens to this process.
 * @throws {FaasError} `conflict` while the flow is suspended; as of {@link EventStore.append}
 */
export async function startRun(
  steps: FlowSteps,
  events: Pick<EventStore, "append">,
  { event, headers, key }: AskedRun,
): Promise<{ readonly name: string; readonly run: Run; readonly duplicate: boolean }> {
  const { plan, deps } = steps;
  if (plan.suspended) throw new FaasError("conflict", `flow ${plan.name} is suspended`);
  const name = key === undefined ? newRunName(plan.name) : keyedRunName(plan.namespace, plan.name, key);
  const asked = buildFlowEvent({
    plan,
    key: "start",
    place: { run: name, round: 0, visit: 0 },
    event,
    headers,
    hops: HOPS,
    now: deps.now(),
  });
  const [appended] = await events.append([
    key === undefined ? asked : { ...asked, once: `${viaOf(plan)}/run/${name}` },
  ]);
  const run = await deps.runs.create(plan.namespace, name, steps.newRun(name, event, appended?.ref));
  return { name, run, duplicate: appended?.duplicate ?? false };
}

function keyedRunName(namespace: string, flow: string, key: string): string {
  return `${flow}.${createHash("sha256").update(`${namespace}/${flow}/key/${key}`).digest("hex").slice(0, 20)}`;
}

import { FaasError } from "../../contract/errors.ts";
import { decodeFlowSpec, type FlowSpec, isFlowName } from "../../contract/events/flow-spec.ts";
import type { FlowSet } from "../flows/flow-set.ts";
import { stepOrder } from "../flows/flow-steps.ts";
import { expressionsOf, type FlowPlan, planFlow } from "../flows/plan.ts";
import { endRun, latestStep, type Run } from "../flows/run.ts";
import { RunStore } from "../flows/run-store.ts";
import type { EventStore } from "../store/event-store.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { type Declaration, type DeclaredName, storeDeclaration } from "./declaration.ts";

export interface FlowDeclarationDeps {
  readonly events: Pick<EventStore, "drop">;
  readonly resources: ResourceStore;
  readonly flows: Pick<FlowSet, "refresh" | "all">;
  /** Reads JSONata without evaluating it. @throws {FaasError} `invalid`, naming `field` */
  readonly checkTransform: (expression: string, field: string) => Promise<void>;
  readonly now?: () => number;
}

/**
 * Resolves once it counts.
 * @returns what was declared
 * @throws {FaasError} `invalid`, naming the field and the rule
 */
export async function declareFlow(deps: FlowDeclarationDeps, declaration: Declaration): Promise<FlowSpec> {
  if (!isFlowName(declaration.name)) {
    throw new FaasError("invalid", "name: must be at most 40 of a-z, 0-9 and -, which neither begins nor ends it");
  }
  const decoded = decodeFlowSpec(declaration.spec);
  const plan = planFlow(decoded, declaration);
  for (const [field, expression] of expressionsOf(decoded)) await deps.checkTransform(expression, field);
  const triggersBefore = triggersOf(deps, declaration);
  await storeDeclaration(deps.resources, "flow", declaration, declaration.spec);
  await deps.flows.refresh();
  if (declaration.before) await settleChange(deps, plan, triggersBefore);
  return decoded;
}

/** Runs at a step that the flow has no more cannot go on. */
async function settleChange(
  deps: FlowDeclarationDeps,
  plan: FlowPlan,
  triggersBefore: readonly string[],
): Promise<void> {
  const order = stepOrder(plan);
  const now = (deps.now ?? Date.now)();
  await changeRunning(deps, plan, (run) => {
    const step = latestStep(run, Object.keys(run.steps));
    if (step === undefined || order.includes(step)) return run;
    const cause = `the flow has no step ${step} any more`;
    return endRun(run, { state: "failed", error: { step, errorType: "FlowChanged", cause } }, now);
  });
  const left = new Set(triggersOf(deps, plan));
  for (const id of triggersBefore) if (!left.has(id)) await deps.events.drop(id, "its flow was changed");
}

/** Its runs are cancelled. @returns whether it was there */
export async function removeFlow(deps: FlowDeclarationDeps, address: DeclaredName): Promise<boolean> {
  const { namespace, name } = address;
  const triggers = triggersOf(deps, address);
  if (!(await deps.resources.remove({ kind: "flow", namespace, name }))) return false;
  await deps.flows.refresh();
  const now = (deps.now ?? Date.now)();
  await changeRunning(deps, address, (run) => endRun(run, { state: "cancelled" }, now));
  for (const id of triggers) await deps.events.drop(id, "its flow was removed");
  return true;
}

async function changeRunning(
  { resources }: FlowDeclarationDeps,
  { namespace, name: flow }: DeclaredName,
  change: (run: Run) => Run,
): Promise<void> {
  const store = new RunStore(resources);
  for (const { name, run } of await store.list(namespace)) {
    if (run.flow === flow && run.state === "running") await store.change(namespace, name, change);
  }
}

function triggersOf({ flows }: FlowDeclarationDeps, { namespace, name }: DeclaredName): string[] {
  const prefix = `flow/${namespace}/${name}/`;
  return flows.all.flatMap(({ id }) => (id.startsWith(prefix) ? [id] : []));
}

import type { DataPreview, RunReport, RunStepReport, RunSummary, StepState } from "../../contract/events/flow-run.ts";
import type { DeliveryRecord, EventRecord } from "../store/event-store.ts";
import { stepTriggerId } from "./flow-events.ts";
import { countParts, type JoinState } from "./join.ts";
import type { FlowPlan } from "./plan.ts";
import { latestStep, type Run, type StepMark } from "./run.ts";

/** What the ledger is asked of an event, with what may be shown of its data. */
export type FindEvent = (ref: string) => Promise<{ readonly record: EventRecord; readonly text?: string } | undefined>;

/** Shown of data. */
const PREVIEW_CHARS = 1_000;

const iso = (ms: number) => new Date(ms).toISOString();

/** The fields that have a value: absent ones are not on the wire. */
function given<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** A run in a line of a list. */
export function buildRunSummary(namespace: string, id: string, run: Run, now: number): RunSummary {
  const { flow, state, startedAt, deadlineAt, endedAt, startedBy, error, endedAtStep } = run;
  return given<RunSummary>({
    id,
    flow,
    namespace,
    state,
    startedAt: iso(startedAt),
    deadlineAt: iso(deadlineAt),
    endedAt: endedAt === undefined ? undefined : iso(endedAt),
    durationMs: Math.max(0, (endedAt ?? now) - startedAt),
    startedBy,
    step: latestStep(run, Object.keys(run.steps)),
    error,
    endedAtStep,
  });
}

export interface RunReportOptions {
  readonly namespace: string;
  readonly id: string;
  readonly run: Run;
  /** Undefined where the flow is not declared any more. */
  readonly plan: FlowPlan | undefined;
  readonly find: FindEvent;
  readonly now: number;
}

/** All that is known of a run, with what the ledger has of its steps. */
export async function buildRunReport({ namespace, id, run, plan, find, now }: RunReportOptions): Promise<RunReport> {
  const known = [...(plan?.steps ?? []), ...(plan?.reply ? [{ name: "reply", kind: "reply" }] : [])];
  const gone = Object.keys(run.steps).filter((name) => !known.some((step) => step.name === name));
  const all = [...known, ...gone.map((name) => ({ name, kind: "call" }))];
  const found = new Map(
    await Promise.all(Object.entries(run.steps).map(async ([name, mark]) => [name, await find(mark.ref)] as const)),
  );
  const result = run.result && (await find(run.result.ref));
  const byVisit = new Map(Object.entries(run.steps).map(([name, { visit }]) => [visit, name]));
  const latest = latestStep(
    run,
    all.map(({ name }) => name),
  );
  const steps = all.map(({ name, kind }, place): RunStepReport => {
    const mark = run.steps[name];
    const event = found.get(name);
    const trigger = stepTriggerId({ namespace, name: run.flow }, name);
    const delivery = event?.record.deliveries.filter((each) => each.trigger === trigger).at(-1);
    const join = run.joins[name];
    const following = mark && byVisit.get(mark.visit + 1);
    const output = following === undefined ? (name === latest ? result : undefined) : found.get(following);
    const isNext = latest === undefined ? place === 0 : all[place - 1]?.name === latest;
    return given<RunStepReport>({
      name,
      kind,
      state: stateOf(run, mark, delivery, join, isNext),
      startedAt: mark && iso(mark.at),
      tries: mark?.tries ?? 0,
      attempts: (delivery?.attempts ?? []).map(({ at, ...attempt }) => ({ at: iso(at), ...attempt })),
      nextAttemptAt: delivery?.nextAttemptAt === undefined ? undefined : iso(delivery.nextAttemptAt),
      parts: join && mark?.visit === join.visit ? { total: join.parts.length, ...countParts(join) } : undefined,
      input: event && previewOf(event),
      output: output && previewOf(output),
    });
  });
  return given<RunReport>({
    ...buildRunSummary(namespace, id, run, now),
    round: run.round,
    versions: run.pins,
    steps,
    result: result && previewOf(result),
  });
}

function stateOf(
  run: Run,
  mark: StepMark | undefined,
  delivery: DeliveryRecord | undefined,
  join: JoinState | undefined,
  isNext: boolean,
): StepState {
  const ended = run.state !== "running";
  if (!mark) return ended ? "skipped" : isNext ? "waiting" : "pending";
  if (join?.visit === mark.visit) {
    if (join.decidedBy === undefined) return ended ? "dropped" : "running";
    return join.parts[join.decidedBy] === "-" ? "failed" : "done";
  }
  switch (delivery?.state) {
    case "delivered":
      return "done";
    case "dead":
      return "failed";
    case "dropped":
      return "dropped";
    case "retrying":
      return "retrying";
    case "waiting":
    case "delivering":
      return "running";
    default:
      // The ledger has forgotten it, so it is over.
      return ended ? "done" : "running";
  }
}

function previewOf({ record, text }: { readonly record: EventRecord; readonly text?: string }): DataPreview {
  const type = record.event.event.attributes.datacontenttype;
  return given<DataPreview>({
    ref: record.event.ref,
    bytes: record.dataBytes,
    contentType: type === undefined ? undefined : String(type),
    text: text?.slice(0, PREVIEW_CHARS),
    truncated: text !== undefined && text.length > PREVIEW_CHARS,
  });
}

import { withQuery } from "../../act.ts";
import { Link } from "../../components/link.tsx";
import { StateChip } from "../../components/state-chip.tsx";
import type { Column } from "../../components/table.tsx";
import { formatNumber } from "../../format.ts";

/** As `GET /system/triggers` tells of it. */
export interface ListedTrigger {
  /** e.g. `trigger/NAMESPACE/NAME`. */
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly origin: "function" | "trigger" | "object" | "flow" | "replay" | "sink";
  readonly broker?: string;
  readonly subscriber: string;
  readonly deadLetter?: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly suspended?: boolean;
  readonly stopped?: string;
  readonly problem?: string;
  readonly open: number;
}

const ORIGINS = {
  function: "annotations of a function",
  trigger: "declared",
  object: "object of a cluster",
  flow: "step of a flow",
  replay: "replay",
  sink: "binding of a sink",
} as const;

export const TRIGGER_COLUMNS: readonly Column<ListedTrigger>[] = [
  {
    id: "id",
    title: "Trigger",
    cell: ({ id, namespace }) => <Link to={triggerScreen(id, namespace)}>{id}</Link>,
  },
  { id: "origin", title: "By", cell: ({ origin }) => ORIGINS[origin] },
  { id: "broker", title: "Broker", cell: ({ broker }) => broker ?? "–" },
  { id: "subscriber", title: "Goes to", cell: ({ subscriber }) => <bdi>{subscriber}</bdi> },
  { id: "state", title: "State", cell: (trigger) => <TriggerState trigger={trigger} /> },
  { id: "open", title: "Not delivered yet", numeric: true, cell: ({ open }) => formatNumber(open) },
];

export function TriggerState({ trigger: { suspended, stopped, problem } }: { readonly trigger: ListedTrigger }) {
  if (problem !== undefined) return <State tone="bad" word="wrong" why={problem} />;
  if (stopped !== undefined) return <State tone="bad" word="stopped" why={stopped} />;
  return suspended ? <StateChip tone="idle">suspended</StateChip> : <StateChip tone="good">active</StateChip>;
}

function State({ tone, word, why }: { readonly tone: "bad"; readonly word: string; readonly why: string }) {
  return (
    <>
      <StateChip tone={tone}>{word}</StateChip> <bdi>{why}</bdi>
    </>
  );
}

/** Address of one trigger's screen. */
export function triggerScreen(id: string, namespace: string): string {
  return withQuery(`/events/triggers/${encodeURIComponent(id)}`, { namespace });
}

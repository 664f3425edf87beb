import type { FlowReport, RunState } from "../../../../../contract/events/flow-run.ts";
import { withQuery } from "../../act.ts";
import { Field } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Notice } from "../../components/message.tsx";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import type { Column } from "../../components/table.tsx";
import { query, setQuery } from "../../router.ts";
import { live } from "../../state/live.ts";
import { session } from "../../state/session.ts";
import { askedNamespace } from "../events/area.tsx";
import { DeclaredList } from "../events/declared-list.tsx";
import "../../styles/run.css";

export const RUN_TONES: Readonly<Record<RunState, Tone>> = {
  running: "busy",
  succeeded: "good",
  failed: "bad",
  cancelled: "idle",
  "timed-out": "bad",
};
const EXAMPLE = {
  broker: "default",
  filter: { attributes: { type: "order.placed" } },
  steps: [
    { name: "check", function: "check" },
    { name: "ship", function: "ship" },
  ],
};

/** A flow as it was declared, as far as a list tells of it. */
interface Declared {
  readonly steps?: readonly unknown[];
  readonly branches?: readonly unknown[];
  readonly broker?: string;
  readonly suspend?: boolean;
}

/** What a screen about flows says where there are no events. */
export function WithoutEvents({ title }: { readonly title: string }) {
  return (
    <>
      <h1>{title}</h1>
      <Notice>{live.events.value.problem ?? "This gateway has no events (events=none), so it has no flows."}</Notice>
    </>
  );
}

/** All flows of a namespace, and how their runs are. */
export function FlowsScreen() {
  return session.value?.features.events === false ? <WithoutEvents title="Flows" /> : <Flows />;
}

function Flows() {
  return (
    <>
      <h1>Flows</h1>
      <form class="filters even" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Namespace"
          type="search"
          value={query.value.get("namespace") ?? ""}
          onInput={(given) => setQuery("namespace", given)}
        />
      </form>
      <DeclaredList<FlowReport>
        kind="flow"
        caption="Flows"
        columns={() => COLUMNS}
        keyOf={({ name }) => name}
        example={EXAMPLE}
        empty={
          <Empty command={`faaslane flows add order --set 'steps=[{"function":"price"}]'`}>No flow is declared.</Empty>
        }
      />
    </>
  );
}

const COLUMNS: readonly Column<FlowReport>[] = [
  {
    id: "name",
    title: "Flow",
    cell: ({ name }) => (
      <Link to={withQuery(`/flows/${encodeURIComponent(name)}`, { namespace: askedNamespace() })}>{name}</Link>
    ),
  },
  {
    id: "shape",
    title: "Steps",
    cell: ({ spec }) => {
      const { steps, branches } = spec as Declared;
      return branches ? `${branches.length} branches` : String(steps?.length ?? 0);
    },
  },
  { id: "broker", title: "Started by events of", cell: ({ spec }) => (spec as Declared).broker ?? "nobody" },
  { id: "state", title: "State", cell: (flow) => <FlowState flow={flow} /> },
  { id: "runs", title: "Runs", cell: ({ runs }) => <RunCounts runs={runs} /> },
];

export function FlowState({ flow: { spec, problem } }: { readonly flow: FlowReport }) {
  if (problem !== undefined) {
    return (
      <>
        <StateChip tone="bad">wrong</StateChip> <bdi>{problem}</bdi>
      </>
    );
  }
  return (spec as Declared).suspend ? (
    <StateChip tone="idle">suspended</StateChip>
  ) : (
    <StateChip tone="good">active</StateChip>
  );
}

function RunCounts({ runs }: Pick<FlowReport, "runs">) {
  const counts = Object.entries(runs).filter(([, count]) => count > 0);
  return <>{counts.length === 0 ? "none" : counts.map(([state, count]) => `${count} ${state}`).join(", ")}</>;
}

import { useId, useState } from "preact/hooks";
import type { FunctionRow } from "../../../../../contract/ui/stream.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Loading, Notice } from "../../components/message.tsx";
import { SeriesCharts } from "../../components/series-charts.tsx";
import { Short } from "../../components/short.tsx";
import { Spark } from "../../components/spark.tsx";
import { StateChip } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { formatMs, formatNumber, formatShare } from "../../format.ts";
import { query, setQuery } from "../../router.ts";
import { live } from "../../state/live.ts";
import "../../styles/overview.css";
import { NeedsAttention } from "./attention.tsx";
import { filterFunctions, HEALTH_WORDS, HEALTHS, healthOf } from "./health.ts";

/** How everything is, at a glance. */
export function Overview() {
  return (
    <>
      <h1>Functions</h1>
      {live.functions.value.rows ? <Known rows={live.functions.value.rows} /> : <Loading />}
    </>
  );
}

function Known({ rows }: { readonly rows: ReadonlyMap<string, FunctionRow> }) {
  const { problem } = live.functions.value;
  return (
    <>
      {problem !== undefined && <Notice>{problem}</Notice>}
      <NeedsAttention />
      <QueueLine />
      {rows.size === 0 ? (
        <Empty command="faaslane new hello --lang node && faaslane up">There are no functions yet.</Empty>
      ) : (
        <>
          <Past />
          <Functions rows={rows} />
        </>
      )}
      <Equivalent cli="faaslane list" curl="curl -u admin:$PASSWORD $GATEWAY/system/functions" />
    </>
  );
}

/** The queue, in a line. */
function QueueLine() {
  const { rows, problem } = live.queue.value;
  if (!rows) return null;
  if (problem !== undefined) {
    return (
      <p>
        Queue: <bdi>{problem}</bdi>
      </p>
    );
  }
  const all = [...rows.values()];
  const sum = (of: "waiting" | "running" | "dead") => formatNumber(all.reduce((so, row) => so + row[of], 0));
  const oldestMs = Math.max(0, ...all.map(({ oldestMs: ms = 0 }) => ms));
  return (
    <p>
      <Link to="/queue">Queue</Link>: {sum("waiting")} waiting{oldestMs > 0 && `, the oldest for ${formatMs(oldestMs)}`}
      , {sum("running")} running, {sum("dead")} dead letters
    </p>
  );
}

/** All functions over time, for who wants to see that: it is asked for then. */
function Past() {
  const [open, setOpen] = useState(query.value.has("range"));
  const namespace = query.value.get("namespace") ?? "";
  return (
    <details class="past" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Charts of all functions{namespace && ` in ${namespace}`}</summary>
      {open && <SeriesCharts scope={{ namespace }} empty={<Empty>Nothing is known of this time.</Empty>} />}
    </details>
  );
}

function Functions({ rows }: { readonly rows: ReadonlyMap<string, FunctionRow> }) {
  const filter = {
    text: query.value.get("filter") ?? "",
    namespace: query.value.get("namespace") ?? "",
    state: query.value.get("state") ?? "",
  };
  const all = [...rows.values()];
  const namespaces = [...new Set(all.map(({ namespace }) => namespace))].sort();
  const shown = filterFunctions(all, filter);
  const isFiltered = shown.length < all.length;
  return (
    <>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <div class="field">
          <label for="filter">Filter</label>
          <input
            id="filter"
            type="search"
            value={filter.text}
            placeholder="name, or label=value"
            onInput={(event) => setQuery("filter", event.currentTarget.value)}
          />
        </div>
        {(namespaces.length > 1 || filter.namespace !== "") && (
          <Choice
            label="Namespace"
            value={filter.namespace}
            options={[["", "All"], ...namespaces.map((name) => [name, name] as const)]}
            onChoose={(value) => setQuery("namespace", value)}
          />
        )}
        <Choice
          label="State"
          value={filter.state}
          options={[["", "All"], ...HEALTHS.map((health) => [health, HEALTH_WORDS[health][1]] as const)]}
          onChoose={(value) => setQuery("state", value)}
        />
        <p class="count" role="status">
          {isFiltered ? `${formatNumber(shown.length)} of ${formatNumber(all.length)}` : formatNumber(all.length)}{" "}
          {all.length === 1 ? "function" : "functions"}
        </p>
      </form>
      {shown.length === 0 ? (
        <Empty>No function is like that.</Empty>
      ) : (
        <Table
          caption="Functions"
          columns={namespaces.length > 1 ? WITH_NAMESPACE : COLUMNS}
          rows={shown}
          keyOf={keyOf}
          sortedBy="name"
        />
      )}
    </>
  );
}

const keyOf = ({ name, namespace }: FunctionRow) => `${name}.${namespace}`;

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, word: string])[];
  readonly onChoose: (value: string) => void;
}

function Choice({ label, value, options, onChoose }: ChoiceProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map(([each, word]) => (
          <option key={each} value={each}>
            {word}
          </option>
        ))}
      </select>
    </div>
  );
}

const COLUMNS: readonly Column<FunctionRow>[] = [
  {
    id: "name",
    title: "Function",
    sort: ({ name, namespace }) => `${name}.${namespace}`,
    cell: ({ name, namespace }) => (
      <Link to={`/functions/${namespace}/${name}`}>
        <Short text={name} />
      </Link>
    ),
  },
  {
    id: "state",
    title: "State",
    sort: (row) => HEALTHS.indexOf(healthOf(row)),
    cell: (row) => {
      const [tone, word] = HEALTH_WORDS[healthOf(row)];
      return <StateChip tone={tone}>{word}</StateChip>;
    },
  },
  {
    id: "replicas",
    title: "Replicas",
    numeric: true,
    sort: ({ replicas }) => replicas,
    cell: ({ available, replicas }) => `${formatNumber(available)} of ${formatNumber(replicas)}`,
  },
  { id: "rate", title: "Calls/s", numeric: true, sort: ({ rate }) => rate, cell: ({ rate }) => formatNumber(rate) },
  {
    id: "errors",
    title: "Errors",
    numeric: true,
    sort: ({ errors }) => errors,
    cell: ({ errors }) => formatShare(errors),
  },
  { id: "p95", title: "p95", numeric: true, sort: ({ p95Ms = -1 }) => p95Ms, cell: ({ p95Ms }) => formatMs(p95Ms) },
  {
    id: "flight",
    title: "Under way",
    numeric: true,
    sort: ({ inFlight, held }) => inFlight + held,
    cell: ({ inFlight, held }) =>
      held > 0 ? `${formatNumber(inFlight)}, ${formatNumber(held)} held` : formatNumber(inFlight),
  },
  {
    id: "spark",
    title: "15 minutes",
    cell: ({ spark, name }) => <Spark values={spark} label={`Calls of ${name} over 15 minutes`} />,
  },
];

const WITH_NAMESPACE = COLUMNS.toSpliced(1, 0, {
  id: "namespace",
  title: "Namespace",
  sort: ({ namespace }) => namespace,
  cell: ({ namespace }) => <Short text={namespace} most={24} />,
});

import type { FunctionRow } from "../../../../contract/ui/stream.ts";
import { Link } from "../components/link.tsx";
import { Empty, Loading, Notice } from "../components/message.tsx";
import { Spark } from "../components/spark.tsx";
import { StateChip, type Tone } from "../components/state-chip.tsx";
import { type Column, Table } from "../components/table.tsx";
import { formatMs, formatNumber, formatShare, shorten } from "../format.ts";
import { query, setQuery } from "../router.ts";
import { live } from "../state/live.ts";

const COLUMNS: readonly Column<FunctionRow>[] = [
  {
    id: "name",
    title: "Function",
    sort: ({ name, namespace }) => `${name}.${namespace}`,
    cell: ({ name, namespace }) => (
      <Link to={`/functions/${namespace}/${name}`} title={`${name}.${namespace}`}>
        {shorten(name)}
      </Link>
    ),
  },
  { id: "state", title: "State", sort: (row) => stateOf(row)[0], cell: (row) => <State row={row} /> },
  {
    id: "replicas",
    title: "Replicas",
    numeric: true,
    sort: ({ replicas }) => replicas,
    cell: ({ available, replicas }) => `${available} of ${replicas}`,
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
    id: "spark",
    title: "15 minutes",
    cell: ({ spark, name }) => <Spark values={spark} label={`Calls of ${name} over 15 minutes`} />,
  },
];

function stateOf({ problem, errors, replicas, available, rate }: FunctionRow): [Tone, string] {
  if (problem !== undefined) return ["bad", "Cannot start"];
  if (errors > 0.05 && rate > 0) return ["bad", "Failing"];
  if (replicas === 0) return ["idle", "At zero"];
  if (available < replicas) return ["busy", "Starting"];
  return errors > 0 ? ["warn", "Some errors"] : ["good", "Ready"];
}

function State({ row }: { readonly row: FunctionRow }) {
  const [tone, word] = stateOf(row);
  return <StateChip tone={tone}>{word}</StateChip>;
}

export function Overview() {
  const { rows, problem } = live.functions.value;
  if (!rows) return <Loading />;
  const filter = (query.value.get("filter") ?? "").toLowerCase();
  const shown = [...rows.values()].filter(({ name, namespace }) => `${name}.${namespace}`.includes(filter));
  return (
    <>
      <h1>Functions</h1>
      {problem && <Notice>{problem}</Notice>}
      <p class="filter">
        <label for="filter">Filter</label>
        <input
          id="filter"
          type="search"
          value={query.value.get("filter") ?? ""}
          onInput={(event) => setQuery("filter", event.currentTarget.value)}
        />
      </p>
      {rows.size === 0 ? (
        <Empty command="faaslane new hello --lang node && faaslane up">There are no functions yet.</Empty>
      ) : (
        <Table
          caption="Functions"
          columns={COLUMNS}
          rows={shown}
          keyOf={({ name, namespace }) => `${name}.${namespace}`}
        />
      )}
    </>
  );
}

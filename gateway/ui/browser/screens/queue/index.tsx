import type { QueueReport } from "../../../../../contract/calls.ts";
import type { QueueRow } from "../../../../../contract/ui/stream.ts";
import { curlOf } from "../../act.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Loading, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { formatMs, formatNumber, formatSize } from "../../format.ts";
import { live } from "../../state/live.ts";
import { session } from "../../state/session.ts";
import "../../styles/run.css";
import { WaitingCalls } from "./calls.tsx";
import { DeadLetters } from "./dead-letters.tsx";

type FunctionQueue = QueueReport["functions"][number];

const QUEUES: readonly Column<QueueRow>[] = [
  { id: "queue", title: "Queue", cell: ({ queue }) => queue },
  { id: "waiting", title: "Waiting", numeric: true, cell: ({ waiting }) => formatNumber(waiting) },
  { id: "running", title: "Running", numeric: true, cell: ({ running }) => formatNumber(running) },
  { id: "dead", title: "Dead", numeric: true, cell: ({ dead }) => formatNumber(dead) },
  { id: "oldest", title: "Oldest waits", numeric: true, cell: ({ oldestMs }) => formatMs(oldestMs) },
  { id: "in", title: "In/s", numeric: true, cell: ({ published }) => formatNumber(published) },
  { id: "out", title: "Out/s", numeric: true, cell: ({ finished }) => formatNumber(finished) },
];

const FUNCTIONS: readonly Column<FunctionQueue>[] = [
  {
    id: "function",
    title: "Function",
    sort: ({ name }) => name,
    cell: ({ name, namespace }) => <Link to={`/functions/${namespace}/${name}`}>{`${name}.${namespace}`}</Link>,
  },
  { id: "queue", title: "Queue", cell: ({ queue }) => queue },
  {
    id: "waiting",
    title: "Waiting",
    numeric: true,
    sort: ({ waiting }) => waiting,
    cell: ({ waiting }) => formatNumber(waiting),
  },
  { id: "running", title: "Running", numeric: true, cell: ({ inFlight }) => formatNumber(inFlight) },
  { id: "dead", title: "Dead", numeric: true, sort: ({ dead }) => dead, cell: ({ dead }) => formatNumber(dead) },
  {
    id: "oldest",
    title: "Oldest waits",
    numeric: true,
    sort: ({ oldestMs }) => oldestMs,
    cell: ({ oldestMs }) => formatMs(oldestMs || undefined),
  },
  { id: "in", title: "In/s", numeric: true, cell: ({ acceptedPerSecond }) => formatNumber(acceptedPerSecond) },
  { id: "out", title: "Out/s", numeric: true, cell: ({ finishedPerSecond }) => formatNumber(finishedPerSecond) },
];

/** What waits, what runs, and what has failed for good. */
export function QueueScreen() {
  const { rows, problem } = live.queue.value;
  if (session.value?.features.queue === false) {
    return (
      <>
        <h1>Queue</h1>
        <Notice>{problem ?? "This gateway has no queue (queue=none)."}</Notice>
      </>
    );
  }
  return (
    <>
      <h1>Queue</h1>
      {problem && <Notice>{problem}</Notice>}
      {!rows ? (
        <Loading />
      ) : rows.size === 0 ? (
        <Empty command="echo hello | faaslane invoke NAME --async">No asynchronous call waits or runs.</Empty>
      ) : (
        <Table caption="Queues" columns={QUEUES} rows={[...rows.values()]} keyOf={({ queue }) => queue} id="q" />
      )}
      <ByFunction />
      <WaitingCalls />
      <DeadLetters />
    </>
  );
}

function ByFunction() {
  const { value } = useAsked("queue", (signal) => askJson<QueueReport>("/system/queue", { signal }), 2_000);
  if (!value) return null;
  const { functions, waiting, inFlight, bytes, limits } = value;
  return (
    <>
      {limits && (
        <p class="hint">
          {formatNumber(waiting + inFlight)} of at most {formatNumber(limits.calls)} calls, {formatSize(bytes ?? 0)} of
          at most {formatSize(limits.bytes)}; of one function {formatNumber(limits.functionCalls)} calls and{" "}
          {formatSize(limits.functionBytes)}.
        </p>
      )}
      {functions.length > 0 && (
        <Table
          caption="By function"
          columns={FUNCTIONS}
          rows={functions}
          keyOf={({ name, namespace, queue }) => `${name}.${namespace} ${queue}`}
          id="f"
        />
      )}
      <Equivalent cli="faaslane queue" curl={curlOf({ path: "/system/queue" })} />
    </>
  );
}

import { useState } from "preact/hooks";
import type { CallList, ListedCallReport } from "../../../../../contract/calls.ts";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Button } from "../../components/button.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field } from "../../components/field.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatSize } from "../../format.ts";
import { navigate, query, setQuery } from "../../router.ts";
import { cancelAct, purgeAct, splitName } from "./acts.ts";
import { CALL_COLUMNS } from "./call-columns.tsx";

const EVERY_MS = 2_000;

/** Calls that have not ended. */
export function WaitingCalls() {
  const filter = {
    function: query.value.get("function") ?? "",
    queue: query.value.get("queue") ?? "",
    state: query.value.get("state") ?? "",
    after: query.value.get("after") ?? "",
  };
  const path = withQuery("/system/queue/calls", { ...filter, limit: "50" });
  const { value, error, reload } = useAsked(path, (signal) => askJson<CallList>(path, { signal }), EVERY_MS);
  const [act, setAct] = useState<Act>();
  const [name, namespace] = splitName(filter.function);
  const columns: readonly Column<ListedCallReport>[] = [
    ...COLUMNS,
    {
      id: "do",
      title: "Actions",
      cell: ({ id }) => <ActButton onClick={() => setAct(cancelAct(id))}>Cancel</ActButton>,
    },
  ];
  const waiting = value?.items.filter(({ state }) => state === "waiting").length ?? 0;
  return (
    <>
      <h2>Calls that wait or run</h2>
      <form class="filters even" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Function"
          type="search"
          value={filter.function}
          onInput={(given) => setQuery("function", given)}
          hint="NAME or NAME.NAMESPACE; of dead letters too"
        />
        <Field label="Queue" type="search" value={filter.queue} onInput={(given) => setQuery("queue", given)} />
        <Field
          label="State of calls"
          value={filter.state}
          options={["", "waiting", "running"]}
          onInput={(given) => setQuery("state", given)}
        />
        <Finder />
      </form>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.items.length === 0 && (
        <Empty command="echo hello | faaslane invoke NAME --async">No such call waits or runs.</Empty>
      )}
      {value && value.items.length > 0 && (
        <Table caption="Calls that wait or run" columns={columns} rows={value.items} keyOf={({ id }) => id} id="c" />
      )}
      <p class="buttons">
        {filter.after !== "" && (
          <button type="button" onClick={() => setQuery("after", "")}>
            First page
          </button>
        )}
        {value?.next !== undefined && (
          <button type="button" onClick={() => setQuery("after", value.next ?? "")}>
            Next page
          </button>
        )}
        {filter.function !== "" && (
          <ActButton
            onClick={() => setAct(purgeAct(filter.function))}
            why={waiting === 0 ? "No call of it waits" : undefined}
          >
            Cancel all that wait
          </ActButton>
        )}
      </p>
      <Equivalent
        cli={command(
          ...["faaslane", "queue", "list", name === "" ? undefined : name, ...option("-n", namespace)],
          ...[...option("--queue", filter.queue), ...option("--state", filter.state)],
        )}
        curl={curlOf({ path })}
      />
      {act && (
        <ActDialog
          act={act}
          onClose={(done) => {
            setAct(undefined);
            if (done) reload();
          }}
        />
      )}
    </>
  );
}

const COLUMNS: readonly Column<ListedCallReport>[] = [
  ...CALL_COLUMNS,
  { id: "state", title: "State", cell: ({ state }) => <StateChip tone="busy">{state}</StateChip> },
  { id: "queue", title: "Queue", cell: ({ queue }) => queue },
  { id: "attempts", title: "Attempts", numeric: true, cell: ({ attempts }) => attempts },
  { id: "at", title: "Accepted", cell: ({ acceptedAt }) => <Moment at={Date.parse(acceptedAt)} /> },
  {
    id: "next",
    title: "Next attempt",
    cell: ({ nextAttemptAt }) => <Moment at={nextAttemptAt === undefined ? undefined : Date.parse(nextAttemptAt)} />,
  },
  { id: "size", title: "Body", numeric: true, cell: ({ bodyBytes }) => formatSize(bodyBytes) },
];

/** Goes to a call of which the id is known; one that has ended too. */
function Finder() {
  const [id, setId] = useState("");
  return (
    <>
      <Field label="Id of a call" type="search" value={id} onInput={setId} />
      <Button
        why={id.trim() === "" ? "Enter the id of a call" : undefined}
        onClick={() => navigate(`/queue/${encodeURIComponent(id.trim())}`)}
      >
        Look it up
      </Button>
    </>
  );
}

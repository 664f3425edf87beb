import type { UiConfiguration } from "../../../../../contract/ui/platform.ts";
import { curlOf } from "../../act.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field } from "../../components/field.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { query, setQuery } from "../../router.ts";
import { type VariableRow, variableRows } from "./variable-rows.ts";

const PATH = "/ui/api/configuration";

const COLUMNS: readonly Column<VariableRow>[] = [
  { id: "name", title: "Variable", sort: ({ name }) => name, cell: ({ name }) => <code>{name}</code> },
  { id: "value", title: "Value", cell: ({ value }) => <bdi>{value}</bdi> },
  {
    id: "from",
    title: "From",
    sort: ({ from }) => from,
    cell: ({ from }) => <StateChip tone={from === "set" ? "good" : "idle"}>{from}</StateChip>,
  },
];

/** The variables that the gateway has read, without secrets. */
export function Configuration() {
  const { value, error } = useAsked("configuration", (signal) => askJson<UiConfiguration>(PATH, { signal }));
  const filter = { text: query.value.get("variable") ?? "", from: query.value.get("from") ?? "" };
  const rows = value && variableRows(value.variables, DOCUMENTED_DEFAULTS, filter);
  return (
    <>
      <h2>Configuration of this gateway</h2>
      <p class="hint">
        As it was read when the gateway started. Passwords and keys are in files, and not shown; defaults are as the
        documentation has them.
      </p>
      <form class="filters even" onSubmit={(event) => event.preventDefault()}>
        <Field label="Variable" type="search" value={filter.text} onInput={(text) => setQuery("variable", text)} />
        <Field
          label="From"
          value={filter.from}
          options={["", "set", "default"]}
          onInput={(from) => setQuery("from", from)}
        />
      </form>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {rows?.length === 0 && <Empty>There is no such variable.</Empty>}
      {rows && rows.length > 0 && (
        <Table caption="Configuration" columns={COLUMNS} rows={rows} keyOf={({ name }) => name} id="v" />
      )}
      <Equivalent cli={curlOf({ path: PATH })} />
    </>
  );
}

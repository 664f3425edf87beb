import { useState } from "preact/hooks";
import type { ListedVersions, VersionDifference } from "../../../../../../contract/versions/requests.ts";
import { command, curlOf, withQuery } from "../../../act.ts";
import { askJson } from "../../../api.ts";
import { Equivalent } from "../../../components/equivalent.tsx";
import { Field } from "../../../components/field.tsx";
import { Empty, Failure, Loading } from "../../../components/message.tsx";
import { useAsked } from "../../../components/resource.ts";
import { type Column, Table } from "../../../components/table.tsx";
import { query, setQuery } from "../../../router.ts";
import type { FunctionPart } from "../part.ts";

/** Values of variables may be nobody's business who looks over a shoulder. */
const VALUES = /^envVars\./;

function columnsOf(shows: boolean): readonly Column<VersionDifference>[] {
  const value = (field: string, text: string | undefined) =>
    text === undefined ? "–" : shows || !VALUES.test(field) ? <bdi>{text}</bdi> : "hidden";
  return [
    { id: "field", title: "Field", cell: ({ field }) => <code>{field}</code> },
    { id: "before", title: "Before", cell: ({ field, from }) => value(field, from) },
    { id: "after", title: "After", cell: ({ field, to }) => value(field, to) },
  ];
}

/** What is different between any two versions, as the address says. */
export function Difference({ part, listed }: { readonly part: FunctionPart; readonly listed: ListedVersions }) {
  const names = listed.versions.map(({ version }) => version);
  const to = known(names, query.value.get("to")) ?? names[0] ?? "";
  const from = known(names, query.value.get("from")) ?? names[1] ?? to;
  const [shows, setShows] = useState(false);
  const { name, namespace } = part;
  const path = withQuery(`/system/function/${encodeURIComponent(name)}/versions`, {
    namespace,
    diff: `${from}..${to}`,
  });
  const { value, error } = useAsked(path, (signal) => askJson<ListedVersions>(path, { signal }));
  return (
    <>
      <h2>Difference</h2>
      <form class="filters even" onSubmit={(event) => event.preventDefault()}>
        <Field label="From version" value={from} options={names} onInput={(given) => setQuery("from", given)} />
        <Field label="To version" value={to} options={names} onInput={(given) => setQuery("to", given)} />
      </form>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.diff?.length === 0 && <Empty>{from === to ? "It is the same version." : "Nothing is different."}</Empty>}
      {value?.diff && value.diff.length > 0 && (
        <>
          <Table
            caption={`Difference of ${from} and ${to}`}
            columns={columnsOf(shows)}
            rows={value.diff}
            keyOf={({ field }) => field}
            id="x"
          />
          {value.diff.some(({ field }) => VALUES.test(field)) && (
            <p class="buttons">
              <button type="button" aria-pressed={shows} onClick={() => setShows(!shows)}>
                {shows ? "Hide values" : "Show values"}
              </button>
            </p>
          )}
        </>
      )}
      <Equivalent
        cli={command("faaslane", "versions", name, "-n", namespace, "--diff", `${from}..${to}`)}
        curl={curlOf({ path })}
      />
    </>
  );
}

function known(names: readonly string[], name: string | null): string | undefined {
  return names.find((each) => each === name);
}

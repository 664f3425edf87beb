import { useEffect, useState } from "preact/hooks";
import type { EventList, EventSummary } from "../../../../../contract/events/event-report.ts";
import { curlOf, withQuery } from "../../act.ts";
import { ask, askJson } from "../../api.ts";
import { ActButton } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatSize, shorten } from "../../format.ts";
import { readLines } from "../../read-lines.ts";
import { navigate, query, setQuery } from "../../router.ts";
import { EventsArea } from "./area.tsx";
import { ledgerCommand, ledgerPath, readFilter, replayOf, takeFollowed } from "./ledger-filter.ts";
import { ReplayDialog } from "./replay-dialog.tsx";
import type { ReplayForm } from "./replay-form.ts";
import { EventStateChip, STATES } from "./states.tsx";

const EVERY_MS = 2_000;
const FIELDS = [
  { id: "type", label: "Type" },
  { id: "source", label: "Source" },
  { id: "trigger", label: "Trigger", hint: "function/NAME or trigger/NAME" },
  { id: "broker", label: "Broker" },
  { id: "id", label: "Id" },
  { id: "since", label: "Since", hint: "1h, or a time" },
  { id: "namespace", label: "Namespace" },
] as const;

/** Events and what has become of them. */
export function EventsScreen() {
  return (
    <EventsArea title="Events">
      <Ledger />
    </EventsArea>
  );
}

function Ledger() {
  const filter = readFilter(query.value);
  const follows = query.value.get("follow") === "true";
  const path = ledgerPath(filter, follows);
  const asked = useAsked(
    path,
    (signal) => (follows ? Promise.resolve({ items: [] }) : askJson<EventList>(path, { signal })),
    follows ? undefined : EVERY_MS,
  );
  const followed = useFollowed(follows ? path : undefined);
  const items = follows ? followed.events : asked.value?.items;
  const error = follows ? followed.error : asked.error;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [replay, setReplay] = useState<Partial<ReplayForm>>();
  const chosen = (items ?? []).filter(({ ref }) => selected.has(ref)).map(({ ref }) => ref);
  const columns: readonly Column<EventSummary>[] = [
    {
      id: "select",
      title: "Selected",
      cell: ({ ref, id }) => (
        <input
          type="checkbox"
          aria-label={`Select ${id}`}
          checked={selected.has(ref)}
          onChange={() => {
            const next = new Set(selected);
            if (!next.delete(ref)) next.add(ref);
            setSelected(next);
          }}
        />
      ),
    },
    ...COLUMNS,
  ];
  const set = (name: string, value: string) => {
    setQuery(name, value);
    setQuery("after", "");
  };
  return (
    <>
      <form class="filters even" onSubmit={(event) => event.preventDefault()}>
        {FIELDS.map(({ id, label, ...more }) => (
          <Field
            key={id}
            label={label}
            type="search"
            value={filter[id]}
            onInput={(value) => set(id, value)}
            {...more}
          />
        ))}
        <Field label="State" value={filter.state} options={["", ...STATES]} onInput={(state) => set("state", state)} />
        <button type="button" aria-pressed={follows} onClick={() => set("follow", follows ? "" : "true")}>
          {follows ? "Stop following" : "Follow"}
        </button>
      </form>
      {error !== undefined && <Failure error={error} />}
      {!items && error === undefined && <Loading />}
      {items?.length === 0 &&
        (follows ? (
          <Empty command="faaslane events send order.created --data '{}'">
            What arrives from now on is shown here.
          </Empty>
        ) : (
          <Empty command="faaslane events send --type order.created --source /shop --data '{}'">
            There is no such event.
          </Empty>
        ))}
      {items && items.length > 0 && (
        <Table caption="Events" columns={columns} rows={items} keyOf={({ ref }) => ref} id="e" />
      )}
      <p class="buttons">
        <ActButton
          why={chosen.length === 0 ? "Nothing is selected" : undefined}
          onClick={() => setReplay({ events: chosen })}
        >
          Replay the selected {chosen.length > 0 && `(${chosen.length})`}
        </ActButton>
        <ActButton onClick={() => setReplay(replayOf(filter))}>Replay all that match</ActButton>
        {filter.after !== "" && (
          <button type="button" onClick={() => setQuery("after", "")}>
            First page
          </button>
        )}
        {!follows && asked.value?.next !== undefined && (
          <button type="button" onClick={() => setQuery("after", asked.value?.next ?? "")}>
            Next page
          </button>
        )}
      </p>
      <Equivalent cli={`${ledgerCommand(filter, follows)}\nfaaslane events why ID`} curl={curlOf({ path })} />
      {replay && (
        <ReplayDialog
          namespace={filter.namespace || undefined}
          given={replay}
          onClose={(name) => {
            setReplay(undefined);
            if (name !== undefined)
              navigate(withQuery(`/events/replays/${encodeURIComponent(name)}`, { namespace: filter.namespace }));
          }}
        />
      )}
    </>
  );
}

const COLUMNS: readonly Column<EventSummary>[] = [
  { id: "at", title: "Arrived", cell: ({ arrivedAt }) => <Moment at={Date.parse(arrivedAt)} /> },
  {
    id: "type",
    title: "Type",
    cell: ({ type, ref, namespace }) => (
      <Link to={eventScreen(ref, namespace)} title={type}>
        {shorten(type)}
      </Link>
    ),
  },
  { id: "source", title: "Source", cell: ({ source }) => <bdi title={source}>{shorten(source)}</bdi> },
  { id: "id", title: "Id", cell: ({ id }) => <bdi title={id}>{shorten(id, 16)}</bdi> },
  { id: "state", title: "State", cell: ({ state }) => <EventStateChip state={state} /> },
  { id: "broker", title: "Broker", cell: ({ broker }) => broker },
  { id: "via", title: "Brought by", cell: ({ via }) => via },
  { id: "data", title: "Data", numeric: true, cell: ({ dataBytes }) => formatSize(dataBytes) },
];

/** Address of one event's screen. */
export function eventScreen(ref: string, namespace: string): string {
  return withQuery(`/events/${encodeURIComponent(ref)}`, { namespace });
}

/** Events as they arrive, as long as there is a path. */
function useFollowed(path: string | undefined): { readonly events: readonly EventSummary[]; readonly error: unknown } {
  const [events, setEvents] = useState<readonly EventSummary[]>([]);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (path === undefined) return;
    const leaving = new AbortController();
    setEvents([]);
    setError(undefined);
    follow(path, leaving.signal, (event) => setEvents((before) => takeFollowed(before, event))).catch(
      (caught: unknown) => leaving.signal.aborted || setError(caught),
    );
    return () => leaving.abort();
  }, [path]);
  return { events, error };
}

async function follow(path: string, signal: AbortSignal, take: (event: EventSummary) => void): Promise<void> {
  for await (const line of readLines(await ask(path, { signal }))) {
    if (line === "") continue;
    const event = JSON.parse(line) as Partial<EventSummary>;
    // An empty one is a sign of life.
    if (event.ref !== undefined) take(event as EventSummary);
  }
  if (!signal.aborted) throw new Error("the gateway has ended the stream; follow again");
}

import type { EventList, EventSummary } from "../../../../../contract/events/event-report.ts";
import type { ListedResource } from "../../../../../contract/events/listed-resource.ts";
import type { LiveBroker } from "../../../../../contract/ui/stream.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber, formatSize, shorten } from "../../format.ts";
import { query, setQuery } from "../../router.ts";
import { live } from "../../state/live.ts";
import { session } from "../../state/session.ts";
import { EventStateChip, STATES } from "./states.tsx";

const EVENT_COLUMNS: readonly Column<EventSummary>[] = [
  { id: "at", title: "Arrived", cell: ({ arrivedAt }) => <Moment at={Date.parse(arrivedAt)} /> },
  {
    id: "type",
    title: "Type",
    cell: ({ type, ref }) => (
      <Link to={`/events/${encodeURIComponent(ref)}`} title={type}>
        {shorten(type)}
      </Link>
    ),
  },
  { id: "source", title: "Source", cell: ({ source }) => <bdi title={source}>{shorten(source)}</bdi> },
  { id: "state", title: "State", cell: ({ state }) => <EventStateChip state={state} /> },
  { id: "via", title: "Brought by", cell: ({ via }) => via },
  { id: "data", title: "Data", numeric: true, cell: ({ dataBytes }) => formatSize(dataBytes) },
];

const BROKER_COLUMNS: readonly Column<LiveBroker>[] = [
  { id: "broker", title: "Broker", cell: ({ broker, namespace }) => `${broker}.${namespace}` },
  { id: "events", title: "Events", numeric: true, cell: ({ events }) => formatNumber(events) },
  { id: "pending", title: "Not yet routed", numeric: true, cell: ({ pending }) => formatNumber(pending) },
  { id: "open", title: "Open deliveries", numeric: true, cell: ({ open }) => formatNumber(open) },
  { id: "dead", title: "Dead", numeric: true, cell: ({ dead }) => formatNumber(dead) },
];

/** Events and what has become of them. */
export function EventsScreen() {
  const filter = {
    type: query.value.get("type") ?? "",
    trigger: query.value.get("trigger") ?? "",
    state: query.value.get("state") ?? "",
  };
  const search = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== ""));
  search.set("limit", "100");
  const key = search.toString();
  const { value, error } = useAsked(key, (signal) => askJson<EventList>(`/system/events?${key}`, { signal }), 2_000);
  const { rows: brokers, problem } = live.events.value;
  if (session.value?.features.events === false) {
    return (
      <>
        <h1>Events</h1>
        <Notice>{problem ?? "This gateway has no events."}</Notice>
      </>
    );
  }
  return (
    <>
      <h1>Events</h1>
      {brokers && brokers.size > 0 && (
        <Table
          caption="Brokers"
          columns={BROKER_COLUMNS}
          rows={[...brokers.values()]}
          keyOf={({ broker, namespace }) => `${broker}.${namespace}`}
          id="b"
        />
      )}
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Field label="Type" type="search" value={filter.type} onInput={(type) => setQuery("type", type)} />
        <Field
          label="Trigger"
          type="search"
          value={filter.trigger}
          onInput={(trigger) => setQuery("trigger", trigger)}
          hint="function/NAME or trigger/NAME"
        />
        <Field
          label="State"
          value={filter.state}
          options={["", ...STATES]}
          onInput={(state) => setQuery("state", state)}
        />
      </form>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.items.length === 0 && (
        <Empty command="faaslane events send --type order.created --source /shop --data '{}'">
          There is no such event.
        </Empty>
      )}
      {value && value.items.length > 0 && (
        <Table caption="Events" columns={EVENT_COLUMNS} rows={value.items} keyOf={({ ref }) => ref} id="e" />
      )}
      <Declared kind="triggers" title="Triggers" command="faaslane triggers list" />
      <Declared kind="sources" title="Sources" command="faaslane sources list" />
      <Declared kind="flows" title="Flows" command="faaslane flows list" />
      <Equivalent
        cli={"faaslane events list\nfaaslane events why ID"}
        curl="curl -u admin:$PASSWORD $GATEWAY/system/events"
      />
    </>
  );
}

const DECLARED_COLUMNS: readonly Column<ListedResource>[] = [
  { id: "name", title: "Name", cell: ({ name, namespace }) => `${name}.${namespace}` },
  { id: "state", title: "State", cell: (each) => String(each.state ?? each.stopped ?? "–") },
  { id: "problem", title: "Problem", cell: ({ problem }) => (problem === undefined ? "–" : String(problem)) },
];

function Declared({
  kind,
  title,
  command,
}: {
  readonly kind: string;
  readonly title: string;
  readonly command: string;
}) {
  const { value, error } = useAsked(kind, (signal) => askJson<ListedResource[]>(`/system/${kind}`, { signal }), 5_000);
  return (
    <>
      <h2>{title}</h2>
      {error !== undefined && !value && <Failure error={error} />}
      {value?.length === 0 && <Empty command={command}>None is declared.</Empty>}
      {value && value.length > 0 && (
        <Table
          caption={title}
          columns={DECLARED_COLUMNS}
          rows={value}
          keyOf={(each) => `${each.namespace}/${String(each.id ?? each.name)}`}
          id={kind}
        />
      )}
    </>
  );
}

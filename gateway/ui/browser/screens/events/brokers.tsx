import { useState } from "preact/hooks";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Link } from "../../components/link.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber, formatSize } from "../../format.ts";
import { askedNamespace, EventsArea } from "./area.tsx";
import { removeAct, whyKept } from "./resource-acts.ts";
import { ResourceDialog } from "./resource-dialog.tsx";

interface ListedBroker {
  readonly name: string;
  readonly namespace: string;
  readonly declared: boolean;
  readonly origin?: string;
  readonly path: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly events: number;
  readonly bytes: number;
  readonly open: number;
  readonly dead: number;
  readonly oldestOpenAt?: number;
}

const EXAMPLE = { maxAge: "24h", maxSize: "512Mi", delivery: { retry: 5 } };

/** What takes events, and what each keeps. */
export function BrokersScreen() {
  return (
    <EventsArea title="Brokers">
      <Brokers />
    </EventsArea>
  );
}

function Brokers() {
  const namespace = askedNamespace();
  const path = withQuery("/system/brokers", { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ListedBroker[]>(path, { signal }), 3_000);
  const [edited, setEdited] = useState<ListedBroker | "new">();
  const [act, setAct] = useState<Act>();
  const done = (did: boolean) => {
    setEdited(undefined);
    setAct(undefined);
    if (did) reload();
  };
  const columns: readonly Column<ListedBroker>[] = [
    {
      id: "name",
      title: "Broker",
      cell: ({ name }) => <Link to={withQuery("/events", { broker: name, namespace })}>{name}</Link>,
    },
    { id: "path", title: "Events are sent to", cell: ({ path }) => <code>{path}</code> },
    { id: "events", title: "Events", numeric: true, cell: ({ events }) => formatNumber(events) },
    { id: "bytes", title: "Size", numeric: true, cell: ({ bytes }) => formatSize(bytes) },
    { id: "open", title: "Not done", numeric: true, cell: ({ open }) => formatNumber(open) },
    {
      id: "dead",
      title: "Dead",
      numeric: true,
      cell: ({ name, dead }) =>
        dead === 0 ? (
          0
        ) : (
          <Link to={withQuery("/events", { broker: name, state: "dead", namespace })}>{formatNumber(dead)}</Link>
        ),
    },
    { id: "oldest", title: "Oldest not done", cell: ({ oldestOpenAt }) => <Moment at={oldestOpenAt} /> },
    {
      id: "spec",
      title: "Settings",
      cell: ({ spec }) => <code>{spec === undefined ? "defaults" : JSON.stringify(spec)}</code>,
    },
    {
      id: "do",
      title: "Actions",
      cell: (broker) => (
        <div class="acts">
          <ActButton why={whyKept(broker)} onClick={() => setEdited(broker)}>
            Edit
          </ActButton>
          <ActButton
            why={broker.declared ? whyKept(broker) : "It is not declared, but there by itself"}
            onClick={() => setAct(removeAct({ kind: "broker", name: broker.name, namespace }))}
          >
            Remove
          </ActButton>
        </div>
      ),
    },
  ];
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value && <Table caption="Brokers" columns={columns} rows={value} keyOf={({ name }) => name} id="b" />}
      <p class="buttons">
        <ActButton onClick={() => setEdited("new")}>Declare a broker</ActButton>
      </p>
      <Equivalent cli={command("faaslane", "brokers", ...option("-n", namespace))} curl={curlOf({ path })} />
      {edited && (
        <ResourceDialog
          kind="broker"
          namespace={namespace}
          example={EXAMPLE}
          {...(edited !== "new" && { of: { name: edited.name, spec: edited.spec ?? {} } })}
          onClose={done}
        />
      )}
      {act && <ActDialog act={act} onClose={done} />}
    </>
  );
}

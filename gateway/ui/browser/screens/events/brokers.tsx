import { withQuery } from "../../act.ts";
import { ActButton } from "../../components/act.tsx";
import { Link } from "../../components/link.tsx";
import type { Column } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber, formatSize } from "../../format.ts";
import { EventsArea } from "./area.tsx";
import { DeclaredList } from "./declared-list.tsx";
import { ownerOf } from "./owner.ts";
import { removeAct } from "./resource-acts.ts";
import { UnlessOwned } from "./unless-owned.tsx";

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
      <DeclaredList<ListedBroker>
        kind="broker"
        caption="Brokers"
        columns={columnsOf}
        keyOf={({ name }) => name}
        actions={(broker, namespace, { edit, ask }) => (
          <UnlessOwned owner={ownerOf({ kind: "broker", ...broker })}>
            <ActButton onClick={edit}>Edit</ActButton>
            <ActButton
              why={broker.declared ? undefined : "It is not declared, but there by itself"}
              onClick={() => ask(removeAct({ kind: "broker", name: broker.name, namespace }))}
            >
              Remove
            </ActButton>
          </UnlessOwned>
        )}
        example={EXAMPLE}
      />
    </EventsArea>
  );
}

function columnsOf(namespace: string | undefined): readonly Column<ListedBroker>[] {
  return [
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
  ];
}

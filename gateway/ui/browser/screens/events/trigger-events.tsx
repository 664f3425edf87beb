import { useState } from "preact/hooks";
import { withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { shorten } from "../../format.ts";
import { eventScreen } from "./index.tsx";
import { LatestEvents, type LookedAt } from "./looked-at.ts";
import { EventStateChip } from "./states.tsx";

const EVERY_MS = 3_000;

const COLUMNS: readonly Column<LookedAt>[] = [
  { id: "at", title: "Arrived", cell: ({ event }) => <Moment at={Date.parse(event.arrivedAt)} /> },
  {
    id: "type",
    title: "Type",
    cell: ({ event: { type, ref, namespace } }) => (
      <Link to={eventScreen(ref, namespace)} title={type}>
        {shorten(type)}
      </Link>
    ),
  },
  {
    id: "verdict",
    title: "Verdict",
    cell: ({ matched }) =>
      matched ? <StateChip tone="good">matched</StateChip> : <StateChip tone="idle">not wanted</StateChip>,
  },
  { id: "state", title: "State", cell: ({ state, matched }) => (matched ? <EventStateChip state={state} /> : "–") },
  { id: "tries", title: "Tries", numeric: true, cell: ({ tries }) => tries },
  { id: "last", title: "Last try", cell: ({ lastAnswer }) => <bdi>{lastAnswer ?? "–"}</bdi> },
  { id: "why", title: "Why", cell: ({ why }) => <bdi>{why === "" ? "–" : why}</bdi> },
];

/** The latest events that a trigger has looked at, and what it did with each. */
export function TriggerEvents({ trigger, namespace }: { readonly trigger: string; readonly namespace: string }) {
  const [latest] = useState(() => new LatestEvents());
  const { value, error } = useAsked(
    trigger,
    (signal) => latest.read(trigger, namespace, (path) => askJson(path, { signal })),
    EVERY_MS,
  );
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && (
        <Empty command="faaslane events send --type order.created --source /shop --data '{}'">
          It has looked at no event yet.
        </Empty>
      )}
      {value && value.length > 0 && (
        <>
          <Table
            caption={`Latest events of ${trigger}`}
            columns={COLUMNS}
            rows={value}
            keyOf={({ event }) => event.ref}
          />
          <p>
            <Link to={withQuery("/events", { trigger, namespace })}>All that it has looked at</Link>
          </p>
        </>
      )}
    </>
  );
}

import { ActButton } from "../../components/act.tsx";
import { Link } from "../../components/link.tsx";
import { Empty } from "../../components/message.tsx";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import type { Column } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber } from "../../format.ts";
import { EventsArea } from "./area.tsx";
import { DeclaredList, type RowActions } from "./declared-list.tsx";
import { ownerOf } from "./owner.ts";
import { removeAct, resumeAct, suspendSourceAct } from "./resource-acts.ts";
import { UnlessOwned } from "./unless-owned.tsx";

interface ListedSource {
  readonly name: string;
  readonly namespace: string;
  /** Whose annotations declare it. */
  readonly function?: string;
  readonly origin?: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: {
    readonly state: string;
    readonly problem?: string;
    readonly events: number;
    readonly errors: number;
    readonly lag?: number;
    readonly lastEventAt?: number;
    readonly lastErrorAt?: number;
  };
}

const TONES: Readonly<Record<string, Tone>> = {
  connected: "good",
  connecting: "busy",
  failing: "bad",
  suspended: "idle",
  elsewhere: "idle",
};
const EXAMPLE = { type: "cron", schedule: "*/5 * * * *", data: { about: "time" } };

const COLUMNS: readonly Column<ListedSource>[] = [
  {
    id: "name",
    title: "Source",
    cell: ({ name, namespace, function: by }) =>
      by === undefined ? name : <Link to={`/functions/${namespace}/${by}/events`}>{`function ${by}`}</Link>,
  },
  { id: "type", title: "Type", cell: ({ spec }) => String(spec.type) },
  {
    id: "state",
    title: "State",
    cell: ({ status: { state } }) => <StateChip tone={TONES[state] ?? "idle"}>{state}</StateChip>,
  },
  { id: "events", title: "Events", numeric: true, cell: ({ status }) => formatNumber(status.events) },
  { id: "last", title: "Last event", cell: ({ status }) => <Moment at={status.lastEventAt} /> },
  {
    id: "lag",
    title: "Waits outside",
    numeric: true,
    cell: ({ status: { lag } }) => (lag === undefined ? "–" : formatNumber(lag)),
  },
  { id: "errors", title: "Errors", numeric: true, cell: ({ status }) => formatNumber(status.errors) },
  {
    id: "problem",
    title: "Last error",
    cell: ({ status: { problem, lastErrorAt } }) =>
      problem === undefined ? (
        <Moment at={lastErrorAt} />
      ) : (
        <>
          <bdi>{problem}</bdi> <Moment at={lastErrorAt} />
        </>
      ),
  },
];

/** What brings events from outside. */
export function SourcesScreen() {
  return (
    <EventsArea title="Sources">
      <DeclaredList<ListedSource>
        kind="source"
        caption="Sources"
        columns={() => COLUMNS}
        keyOf={({ name, function: by }) => `${by === undefined ? "" : "function/"}${name}`}
        actions={actionsOf}
        example={EXAMPLE}
        empty={
          <Empty command="faaslane sources add tick cron --set 'schedule=*/5 * * * *'">No source is declared.</Empty>
        }
        everyMs={2_000}
      />
    </EventsArea>
  );
}

function actionsOf(source: ListedSource, namespace: string | undefined, { edit, ask }: RowActions) {
  const { name, spec } = source;
  const named = { kind: "source", name, namespace } as const;
  const isSuspended = spec.suspend === true;
  return (
    <UnlessOwned owner={ownerOf({ kind: "source", ...source, functionName: source.function })}>
      <ActButton onClick={() => ask(isSuspended ? resumeAct(named) : suspendSourceAct(named))}>
        {isSuspended ? "Resume" : "Suspend"}
      </ActButton>
      <ActButton onClick={edit}>Edit</ActButton>
      <ActButton onClick={() => ask(removeAct(named))}>Remove</ActButton>
    </UnlessOwned>
  );
}

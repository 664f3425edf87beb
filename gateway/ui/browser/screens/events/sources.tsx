import { useState } from "preact/hooks";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber } from "../../format.ts";
import { askedNamespace, EventsArea } from "./area.tsx";
import { removeAct, resumeAct, suspendSourceAct, whyKept } from "./resource-acts.ts";
import { ResourceDialog } from "./resource-dialog.tsx";

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

/** What brings events from outside. */
export function SourcesScreen() {
  return (
    <EventsArea title="Sources">
      <Sources />
    </EventsArea>
  );
}

function Sources() {
  const namespace = askedNamespace();
  const path = withQuery("/system/sources", { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ListedSource[]>(path, { signal }), 2_000);
  const [edited, setEdited] = useState<ListedSource | "new">();
  const [act, setAct] = useState<Act>();
  const done = (did: boolean) => {
    setEdited(undefined);
    setAct(undefined);
    if (did) reload();
  };
  const columns: readonly Column<ListedSource>[] = [
    ...COLUMNS,
    {
      id: "do",
      title: "Actions",
      cell: (source) => {
        const { name, spec } = source;
        const named = { kind: "source", name, namespace } as const;
        const why = source.function === undefined ? whyKept(source) : "Annotations of its function declare it";
        return (
          <div class="acts">
            <ActButton
              why={why}
              onClick={() => setAct(spec.suspend === true ? resumeAct(named) : suspendSourceAct(named))}
            >
              {spec.suspend === true ? "Resume" : "Suspend"}
            </ActButton>
            <ActButton why={why} onClick={() => setEdited(source)}>
              Edit
            </ActButton>
            <ActButton why={why} onClick={() => setAct(removeAct(named))}>
              Remove
            </ActButton>
          </div>
        );
      },
    },
  ];
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && (
        <Empty command="faaslane sources add tick cron --set 'schedule=*/5 * * * *'">No source is declared.</Empty>
      )}
      {value && value.length > 0 && (
        <Table
          caption="Sources"
          columns={columns}
          rows={value}
          keyOf={({ name, function: by }) => `${by === undefined ? "" : "function/"}${name}`}
          id="s"
        />
      )}
      <p class="buttons">
        <ActButton onClick={() => setEdited("new")}>Declare a source</ActButton>
      </p>
      <Equivalent cli={command("faaslane", "sources", ...option("-n", namespace))} curl={curlOf({ path })} />
      {edited && (
        <ResourceDialog
          kind="source"
          namespace={namespace}
          example={EXAMPLE}
          {...(edited !== "new" && { of: edited })}
          onClose={done}
        />
      )}
      {act && <ActDialog act={act} onClose={done} />}
    </>
  );
}

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

import { useState } from "preact/hooks";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber } from "../../format.ts";
import { askedNamespace, EventsArea } from "./area.tsx";
import { removeAct, whyKept } from "./resource-acts.ts";
import { ResourceDialog } from "./resource-dialog.tsx";

interface ListedSink {
  readonly name: string;
  readonly origin?: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: {
    readonly state: "idle" | "open" | "failing";
    readonly problem?: string;
    readonly sent: number;
    readonly errors: number;
    readonly lastSentAt?: number;
    readonly lastErrorAt?: number;
  };
}

const TONES: Readonly<Record<string, Tone>> = { idle: "idle", open: "good", failing: "bad" };
const EXAMPLE = { type: "webhook", url: "https://partner.example/hooks", secrets: [{ secret: "partner" }] };

/** What takes events outside. */
export function SinksScreen() {
  return (
    <EventsArea title="Sinks">
      <Sinks />
    </EventsArea>
  );
}

function Sinks() {
  const namespace = askedNamespace();
  const path = withQuery("/system/sinks", { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ListedSink[]>(path, { signal }), 3_000);
  const [edited, setEdited] = useState<ListedSink | "new">();
  const [act, setAct] = useState<Act>();
  const done = (did: boolean) => {
    setEdited(undefined);
    setAct(undefined);
    if (did) reload();
  };
  const columns: readonly Column<ListedSink>[] = [
    ...COLUMNS,
    {
      id: "do",
      title: "Actions",
      cell: (sink) => (
        <div class="acts">
          <ActButton why={whyKept(sink)} onClick={() => setEdited(sink)}>
            Edit
          </ActButton>
          <ActButton
            why={whyKept(sink)}
            onClick={() => setAct(removeAct({ kind: "sink", name: sink.name, namespace }))}
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
      {value?.length === 0 && (
        <Empty command="faaslane sinks add partner webhook --set url=https://partner.example/hooks">
          No sink is declared.
        </Empty>
      )}
      {value && value.length > 0 && (
        <Table caption="Sinks" columns={columns} rows={value} keyOf={({ name }) => name} id="s" />
      )}
      <p class="hint">States are as the gateway that answers has seen them.</p>
      <p class="buttons">
        <ActButton onClick={() => setEdited("new")}>Declare a sink</ActButton>
      </p>
      <Equivalent cli={command("faaslane", "sinks", ...option("-n", namespace))} curl={curlOf({ path })} />
      {edited && (
        <ResourceDialog
          kind="sink"
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

const COLUMNS: readonly Column<ListedSink>[] = [
  { id: "name", title: "Sink", cell: ({ name }) => name },
  { id: "type", title: "Type", cell: ({ spec }) => String(spec.type) },
  {
    id: "state",
    title: "State",
    cell: ({ status: { state } }) => <StateChip tone={TONES[state] ?? "idle"}>{state}</StateChip>,
  },
  { id: "sent", title: "Sent", numeric: true, cell: ({ status }) => formatNumber(status.sent) },
  { id: "last", title: "Last sent", cell: ({ status }) => <Moment at={status.lastSentAt} /> },
  { id: "errors", title: "Errors", numeric: true, cell: ({ status }) => formatNumber(status.errors) },
  { id: "problem", title: "Problem", cell: ({ status }) => <bdi>{status.problem ?? "–"}</bdi> },
];

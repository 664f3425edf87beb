import { ActButton } from "../../components/act.tsx";
import { Empty } from "../../components/message.tsx";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import type { Column } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber } from "../../format.ts";
import { EventsArea } from "./area.tsx";
import { DeclaredList } from "./declared-list.tsx";
import { ownerOf } from "./owner.ts";
import { removeAct } from "./resource-acts.ts";
import { UnlessOwned } from "./unless-owned.tsx";

interface ListedSink {
  readonly name: string;
  readonly namespace: string;
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

/** What takes events outside. */
export function SinksScreen() {
  return (
    <EventsArea title="Sinks">
      <DeclaredList<ListedSink>
        kind="sink"
        caption="Sinks"
        columns={() => COLUMNS}
        keyOf={({ name }) => name}
        actions={(sink, namespace, { edit, ask }) => (
          <UnlessOwned owner={ownerOf({ kind: "sink", ...sink })}>
            <ActButton onClick={edit}>Edit</ActButton>
            <ActButton onClick={() => ask(removeAct({ kind: "sink", name: sink.name, namespace }))}>Remove</ActButton>
          </UnlessOwned>
        )}
        example={EXAMPLE}
        empty={
          <Empty command="faaslane sinks add partner webhook --set url=https://partner.example/hooks">
            No sink is declared.
          </Empty>
        }
        note="States are as the gateway that answers has seen them."
      />
    </EventsArea>
  );
}

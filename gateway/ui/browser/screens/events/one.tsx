import type { DeliveryReport, EventExplanation, EventReport } from "../../../../../contract/events/event-report.ts";
import { plainLine } from "../../ansi.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatMs, formatSize } from "../../format.ts";
import type { Params } from "../screen.ts";
import { EventStateChip } from "./states.tsx";

/** One event: where it came from, who wanted it and why not, and each try to deliver it. */
export function EventScreen({ params: { ref = "" } }: { readonly params: Params }) {
  const path = `/system/events/${encodeURIComponent(`ref:${ref}`)}`;
  const { value, error } = useAsked(path, (signal) => askJson<EventReport>(path, { signal }), 3_000);
  const why = useAsked(
    `${path}/why`,
    async (signal) => (await askJson<{ items: EventExplanation[] }>(`${path}/why?format=json`, { signal })).items,
    3_000,
  );
  if (error !== undefined && !value) return <Failure error={error} />;
  if (!value) return <Loading />;
  return (
    <>
      <h1>
        {value.type} <EventStateChip state={value.state} />
      </h1>
      <div class="panels">
        <Panel title="What became of it">
          {why.value?.map(({ lines }) => (
            <ol class="steps" key={lines[0]}>
              {lines.map((line) => (
                <li key={line}>
                  <bdi>{line.trim()}</bdi>
                </li>
              ))}
            </ol>
          ))}
        </Panel>
        <Panel title="Attributes">
          <dl>
            {Object.entries(value.attributes).map(([name, given]) => (
              <>
                <dt key={name}>{name}</dt>
                <dd>
                  <bdi>{String(given)}</bdi>
                </dd>
              </>
            ))}
            <dt>arrived</dt>
            <dd>
              <Moment at={Date.parse(value.arrivedAt)} /> by {value.via}
            </dd>
            <dt>data</dt>
            <dd>{formatSize(value.dataBytes)}</dd>
          </dl>
        </Panel>
      </div>
      {value.data?.text !== undefined && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <pre class="log" tabIndex={0}>
          {value.data.text.split("\n").map(plainLine).join("\n")}
          {value.data.truncated ? "\n…" : ""}
        </pre>
      )}
      {value.deliveries.length > 0 && (
        <Table caption="Deliveries" columns={COLUMNS} rows={value.deliveries} keyOf={({ id }) => id} />
      )}
      <Equivalent
        cli={`faaslane events why ${value.ref}\nfaaslane events replay --ref ${value.ref}`}
        curl={`curl -u admin:$PASSWORD $GATEWAY${path}/why`}
      />
    </>
  );
}

const COLUMNS: readonly Column<DeliveryReport>[] = [
  { id: "trigger", title: "Trigger", cell: ({ trigger }) => trigger },
  { id: "state", title: "State", cell: ({ state }) => <EventStateChip state={state} /> },
  { id: "tries", title: "Tries", numeric: true, cell: ({ tries }) => tries },
  {
    id: "last",
    title: "Last try",
    cell: ({ attempts }) => {
      const last = attempts.at(-1);
      return last ? `${last.status ?? last.error ?? "–"} in ${formatMs(last.durationMs)}` : "–";
    },
  },
  {
    id: "next",
    title: "Next try",
    cell: ({ nextAttemptAt }) => <Moment at={nextAttemptAt ? Date.parse(nextAttemptAt) : undefined} />,
  },
  { id: "reason", title: "Reason", cell: ({ reason }) => <bdi>{reason ?? "–"}</bdi> },
];

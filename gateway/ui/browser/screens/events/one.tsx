import { useState } from "preact/hooks";
import type { DeliveryReport, EventExplanation, EventReport } from "../../../../../contract/events/event-report.ts";
import { command, curlOf, option, withQuery } from "../../act.ts";
import { plainLine } from "../../ansi.ts";
import { askJson } from "../../api.ts";
import { ActButton } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatSize, shorten } from "../../format.ts";
import { navigate } from "../../router.ts";
import type { Params } from "../screen.ts";
import { askedNamespace } from "./area.tsx";
import { ReplayDialog } from "./replay-dialog.tsx";
import { EventStateChip } from "./states.tsx";
import { answerOf, timelineOf } from "./timeline.ts";

/** One event: where it came from, who wanted it and why not, and each try to deliver it. */
export function EventScreen({ params: { ref = "" } }: { readonly params: Params }) {
  const namespace = askedNamespace();
  const base = `/system/events/${encodeURIComponent(`ref:${ref}`)}`;
  const path = withQuery(base, { namespace });
  const { value, error } = useAsked(path, (signal) => askJson<EventReport>(path, { signal }), 3_000);
  const whyPath = withQuery(`${base}/why`, { namespace, format: "json" });
  const why = useAsked(
    whyPath,
    async (signal) => (await askJson<{ items: EventExplanation[] }>(whyPath, { signal })).items,
    3_000,
  );
  const [replays, setReplays] = useState(false);
  if (!value) {
    return (
      <>
        <h1>Event {shorten(ref)}</h1>
        {error === undefined ? <Loading /> : <Failure error={error} />}
      </>
    );
  }
  return (
    <>
      <h1>
        {value.type} <EventStateChip state={value.state} />
      </h1>
      <div class="panels">
        <Panel title="What happened to it">
          <ol class="timeline">
            {timelineOf(value).map(({ at, title, text, tone }) => (
              <li key={`${at} ${title} ${text}`}>
                <StateChip tone={tone}>{title}</StateChip> <Moment at={at} />
                <div>
                  <bdi>{text}</bdi>
                </div>
              </li>
            ))}
          </ol>
        </Panel>
        <Panel title="In words">
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
      <p class="buttons">
        <ActButton onClick={() => setReplays(true)}>Replay the event</ActButton>
      </p>
      <Equivalent
        cli={command("faaslane", "events", "why", value.ref, ...option("-n", namespace))}
        curl={curlOf({ path: whyPath })}
      />
      {replays && (
        <ReplayDialog
          namespace={namespace}
          given={{ events: [value.ref] }}
          onClose={(name) => {
            setReplays(false);
            if (name !== undefined) navigate(withQuery(`/events/replays/${encodeURIComponent(name)}`, { namespace }));
          }}
        />
      )}
    </>
  );
}

const COLUMNS: readonly Column<DeliveryReport>[] = [
  {
    id: "trigger",
    title: "Trigger",
    cell: ({ trigger }) => (
      <Link to={withQuery(`/events/triggers/${encodeURIComponent(trigger)}`, { namespace: askedNamespace() })}>
        {trigger}
      </Link>
    ),
  },
  { id: "state", title: "State", cell: ({ state }) => <EventStateChip state={state} /> },
  { id: "tries", title: "Tries", numeric: true, cell: ({ tries }) => tries },
  {
    id: "last",
    title: "Last try",
    cell: ({ attempts }) => {
      const last = attempts.at(-1);
      return last ? <bdi>{answerOf(last)}</bdi> : "–";
    },
  },
  {
    id: "next",
    title: "Next try",
    cell: ({ nextAttemptAt }) => <Moment at={nextAttemptAt ? Date.parse(nextAttemptAt) : undefined} />,
  },
  { id: "reason", title: "Reason", cell: ({ reason }) => <bdi>{reason ?? "–"}</bdi> },
];

import { useState } from "preact/hooks";
import type { ReplayReport, ReplayState } from "../../../../../contract/events/replay-spec.ts";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber } from "../../format.ts";
import { navigate } from "../../router.ts";
import type { Params } from "../screen.ts";
import { askedNamespace, EventsArea } from "./area.tsx";
import { ReplayDialog } from "./replay-dialog.tsx";
import { endReplayAct } from "./replay-form.ts";

const EVERY_MS = 1_500;
const TONES: Readonly<Record<ReplayState, Tone>> = {
  STARTING: "busy",
  RUNNING: "busy",
  COMPLETED: "good",
  CANCELLED: "idle",
  FAILED: "bad",
};

/** Events that are sent again. */
export function ReplaysScreen() {
  return (
    <EventsArea title="Replays">
      <Replays />
    </EventsArea>
  );
}

function Replays() {
  const namespace = askedNamespace();
  const path = withQuery("/system/replays", { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ReplayReport[]>(path, { signal }), EVERY_MS);
  const [act, setAct] = useState<Act>();
  const [creates, setCreates] = useState(false);
  const columns: readonly Column<ReplayReport>[] = [
    {
      id: "name",
      title: "Replay",
      cell: ({ name }) => (
        <Link to={withQuery(`/events/replays/${encodeURIComponent(name)}`, { namespace })}>{name}</Link>
      ),
    },
    ...COLUMNS,
    {
      id: "do",
      title: "Actions",
      cell: (replay) => (
        <ActButton onClick={() => setAct(endReplayAct(replay.name, namespace, isUnderWay(replay)))}>
          {isUnderWay(replay) ? "Cancel" : "Forget"}
        </ActButton>
      ),
    },
  ];
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && (
        <Empty command="faaslane events replay --state dead --since 1h --dry-run">No event has been sent again.</Empty>
      )}
      {value && value.length > 0 && (
        <Table caption="Replays" columns={columns} rows={value} keyOf={({ name }) => name} id="r" />
      )}
      <p class="buttons">
        <ActButton class="primary" onClick={() => setCreates(true)}>
          Replay events
        </ActButton>
      </p>
      <Equivalent
        cli={command("faaslane", "events", "replays", "list", ...option("-n", namespace))}
        curl={curlOf({ path })}
      />
      {creates && (
        <ReplayDialog
          namespace={namespace}
          given={{}}
          onClose={(name) => {
            setCreates(false);
            if (name !== undefined) reload();
          }}
        />
      )}
      {act && (
        <ActDialog
          act={act}
          onClose={(done) => {
            setAct(undefined);
            if (done) reload();
          }}
        />
      )}
    </>
  );
}

const COLUMNS: readonly Column<ReplayReport>[] = [
  {
    id: "state",
    title: "State",
    cell: ({ state }) => <StateChip tone={TONES[state]}>{state.toLowerCase()}</StateChip>,
  },
  { id: "progress", title: "Progress", cell: (replay) => <Progress replay={replay} /> },
  { id: "to", title: "To", cell: ({ to }) => to ?? "their triggers" },
  { id: "rate", title: "Events a second", numeric: true, cell: ({ rate }) => formatNumber(rate) },
  { id: "at", title: "Begun", cell: ({ createdAt }) => <Moment at={Date.parse(createdAt)} /> },
  { id: "problem", title: "Problem", cell: ({ problem }) => <bdi>{problem ?? "–"}</bdi> },
];

function isUnderWay({ state }: ReplayReport): boolean {
  return state === "STARTING" || state === "RUNNING";
}

/** How many of how many, as a bar and in words. */
function Progress({ replay: { total, done, skipped } }: { readonly replay: ReplayReport }) {
  const looked = done + skipped;
  return (
    <>
      {total !== undefined && total > 0 && (
        <progress aria-label="Progress" value={looked} max={total}>
          {looked}
        </progress>
      )}{" "}
      {formatNumber(looked)}
      {total !== undefined && ` of ${formatNumber(total)}`}
      {skipped > 0 && `, ${formatNumber(skipped)} skipped`}
    </>
  );
}

/** One replay: what it is about, and how far it is. */
export function ReplayScreen({ params: { name = "" } }: { readonly params: Params }) {
  return (
    <EventsArea title={`Replay ${name}`}>
      <OneReplay name={name} />
    </EventsArea>
  );
}

function OneReplay({ name }: { readonly name: string }) {
  const namespace = askedNamespace();
  const path = withQuery(`/system/replays/${encodeURIComponent(name)}`, { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ReplayReport>(path, { signal }), EVERY_MS);
  const [act, setAct] = useState<Act>();
  if (!value) return error === undefined ? <Loading /> : <Failure error={error} />;
  const { state, events, states, lastArrivedAt, createdAt, endedAt, problem, to, rate, replies } = value;
  const runs = isUnderWay(value);
  const about = (["broker", "type", "source", "trigger", "id", "since", "until"] as const).filter(
    (field) => value[field] !== undefined,
  );
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      <div class="panels">
        <Panel title="How far it is">
          <dl>
            <dt>State</dt>
            <dd>
              <StateChip tone={TONES[state]}>{state.toLowerCase()}</StateChip>
            </dd>
            <dt>Progress</dt>
            <dd>
              <Progress replay={value} />
            </dd>
            <dt>Begun</dt>
            <dd>
              <Moment at={Date.parse(createdAt)} />
            </dd>
            <dt>Ended</dt>
            <dd>
              <Moment at={endedAt === undefined ? undefined : Date.parse(endedAt)} />
            </dd>
            <dt>Looked at last</dt>
            <dd>
              <Moment at={lastArrivedAt === undefined ? undefined : Date.parse(lastArrivedAt)} />
            </dd>
            {problem !== undefined && (
              <>
                <dt>Problem</dt>
                <dd>
                  <bdi>{problem}</bdi>
                </dd>
              </>
            )}
          </dl>
        </Panel>
        <Panel title="What it is about">
          <dl>
            {about.map((field) => (
              <>
                <dt key={field}>{field}</dt>
                <dd>
                  <bdi>{String(value[field])}</bdi>
                </dd>
              </>
            ))}
            {states && (
              <>
                <dt>states</dt>
                <dd>{states.join(", ")}</dd>
              </>
            )}
            {events && (
              <>
                <dt>events</dt>
                <dd>{events.length} by their refs</dd>
              </>
            )}
            <dt>to</dt>
            <dd>{to ?? "the triggers that got them"}</dd>
            <dt>events a second</dt>
            <dd>{formatNumber(rate)}</dd>
            <dt>answers</dt>
            <dd>{replies ? "go on to the broker" : "end there"}</dd>
          </dl>
        </Panel>
      </div>
      <p class="buttons">
        <ActButton onClick={() => setAct(endReplayAct(name, namespace, runs))}>
          {runs ? "Cancel the replay" : "Forget it"}
        </ActButton>
      </p>
      <Equivalent
        cli={command("faaslane", "events", "replays", "show", name, ...option("-n", namespace))}
        curl={curlOf({ path })}
      />
      {act && (
        <ActDialog
          act={act}
          onClose={(done) => {
            setAct(undefined);
            if (!done) return;
            if (runs) reload();
            else navigate(withQuery("/events/replays", { namespace }));
          }}
        />
      )}
    </>
  );
}

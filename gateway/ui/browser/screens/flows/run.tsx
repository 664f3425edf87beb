import { useState } from "preact/hooks";
import type { DataPreview, RunReport, StepState } from "../../../../../contract/events/flow-run.ts";
import { type Act, command, curlOf, option } from "../../act.ts";
import { plainLine } from "../../ansi.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatMs, formatSize } from "../../format.ts";
import { now, session } from "../../state/session.ts";
import { askedNamespace } from "../events/area.tsx";
import { eventScreen } from "../events/index.tsx";
import { answerOf } from "../events/timeline.ts";
import type { Params } from "../screen.ts";
import { cancelRunAct, resumeRunAct, runPath } from "./acts.ts";
import { RUN_TONES, WithoutEvents } from "./index.tsx";
import { type StepBars, stepBars } from "./step-bars.ts";

const EVERY_MS = 1_500;
const STEP_TONES: Readonly<Record<StepState, Tone>> = {
  pending: "idle",
  waiting: "busy",
  running: "busy",
  retrying: "warn",
  done: "good",
  failed: "bad",
  dropped: "warn",
  skipped: "idle",
};

/** One run of a flow, step by step. */
export function RunScreen({ params: { name = "", run = "" } }: { readonly params: Params }) {
  return session.value?.features.events === false ? <WithoutEvents title={run} /> : <Run flow={name} id={run} />;
}

function Run({ flow, id }: { readonly flow: string; readonly id: string }) {
  const namespace = askedNamespace();
  const path = runPath(id, namespace);
  const { value, error, reload } = useAsked(path, (signal) => askJson<RunReport>(path, { signal }), EVERY_MS);
  const [act, setAct] = useState<Act>();
  const isOpen = value?.state === "running";
  return (
    <>
      <h1>
        {id} {value && <StateChip tone={RUN_TONES[value.state]}>{value.state}</StateChip>}
      </h1>
      <p>
        A run of{" "}
        <Link to={`/flows/${encodeURIComponent(flow)}${namespace ? `?namespace=${namespace}` : ""}`}>{flow}</Link>
      </p>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value && (
        <>
          <Facts run={value} />
          <h2>Steps</h2>
          <Picture run={value} />
          <Table
            caption="Steps"
            columns={COLUMNS}
            rows={stepBars(value, now())}
            keyOf={({ step }) => step.name}
            id="s"
          />
          {value.steps.map(({ name, input, output }) => (
            <details key={name}>
              <summary>Data of {name}</summary>
              <Preview title="Was given" data={input} namespace={value.namespace} />
              <Preview title="Has answered" data={output} namespace={value.namespace} />
            </details>
          ))}
          {value.result && (
            <details open>
              <summary>Result</summary>
              <Preview title="Result" data={value.result} namespace={value.namespace} />
            </details>
          )}
          <p class="buttons">
            <ActButton why={isOpen ? undefined : "It has ended"} onClick={() => setAct(cancelRunAct(id, namespace))}>
              Cancel the run
            </ActButton>
            <ActButton
              why={isOpen ? "It is under way" : value.state === "succeeded" ? "It has succeeded" : undefined}
              onClick={() => setAct(resumeRunAct(id, namespace, value.error?.step ?? value.step))}
            >
              Resume the run
            </ActButton>
          </p>
        </>
      )}
      <Equivalent
        cli={command("faaslane", "flows", "show-run", id, ...option("-n", namespace))}
        curl={curlOf({ path })}
      />
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

function Facts({ run }: { readonly run: RunReport }) {
  const { startedAt, endedAt, deadlineAt, durationMs, startedBy, error, round, versions, namespace } = run;
  const named = Object.entries(versions).map(([step, version]) => `${step} ${version}`);
  return (
    <Panel title="What it is">
      <dl>
        <dt>Started</dt>
        <dd>
          <Moment at={Date.parse(startedAt)} />, took {formatMs(durationMs)}
        </dd>
        <dt>By</dt>
        <dd>
          {startedBy.ref === undefined ? (
            <bdi>{startedBy.type}</bdi>
          ) : (
            <Link to={eventScreen(startedBy.ref, namespace)}>{startedBy.type}</Link>
          )}{" "}
          <bdi>{startedBy.id}</bdi> from <bdi>{startedBy.source}</bdi>
        </dd>
        {endedAt !== undefined ? (
          <>
            <dt>Ended</dt>
            <dd>
              <Moment at={Date.parse(endedAt)} />
            </dd>
          </>
        ) : (
          <>
            <dt>Has to end</dt>
            <dd>
              <Moment at={Date.parse(deadlineAt)} />
            </dd>
          </>
        )}
        {error && (
          <>
            <dt>Error at {error.step}</dt>
            <dd>
              <bdi>{`${error.errorType}: ${error.cause}`}</bdi>
            </dd>
          </>
        )}
        {round > 0 && (
          <>
            <dt>Resumed</dt>
            <dd>{round} times</dd>
          </>
        )}
        {named.length > 0 && (
          <>
            <dt>Versions</dt>
            <dd>{named.join(", ")}</dd>
          </>
        )}
      </dl>
    </Panel>
  );
}

const COLUMNS: readonly Column<StepBars>[] = [
  { id: "name", title: "Step", cell: ({ step }) => step.name },
  { id: "kind", title: "Kind", cell: ({ step }) => step.kind },
  {
    id: "state",
    title: "State",
    cell: ({ step: { state } }) => <StateChip tone={STEP_TONES[state]}>{state}</StateChip>,
  },
  {
    id: "at",
    title: "Began",
    cell: ({ step: { startedAt } }) => <Moment at={startedAt === undefined ? undefined : Date.parse(startedAt)} />,
  },
  { id: "took", title: "Took", numeric: true, cell: ({ durationMs }) => formatMs(durationMs) },
  { id: "tries", title: "Tries", numeric: true, cell: ({ step }) => step.attempts.length || step.tries },
  {
    id: "last",
    title: "Last try",
    cell: ({ step: { attempts, parts } }) => {
      const last = attempts.at(-1);
      if (last) return <bdi>{answerOf(last)}</bdi>;
      return parts ? `${parts.done} of ${parts.total} done, ${parts.failed} failed, ${parts.open} open` : "–";
    },
  },
  {
    id: "next",
    title: "Next try",
    cell: ({ step: { nextAttemptAt } }) => (
      <Moment at={nextAttemptAt === undefined ? undefined : Date.parse(nextAttemptAt)} />
    ),
  },
];

const ROW_PX = 22;
const WIDTH_PX = 600;

/** When each step did something; the table below says the same. */
function Picture({ run }: { readonly run: RunReport }) {
  const rows = stepBars(run, now());
  if (rows.length === 0) return null;
  const words = rows.map(({ step, durationMs }) => `${step.name} ${step.state}, ${formatMs(durationMs)}`).join("; ");
  return (
    <svg
      class="bars"
      viewBox={`0 0 ${WIDTH_PX} ${rows.length * ROW_PX}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Time of each step: ${words}`}
    >
      {rows.flatMap(({ bars, step }, row) =>
        bars.map(({ from, width, isGood }, at) => (
          <rect
            key={`${step.name} ${at}`}
            class={isGood ? "good" : "bad"}
            x={from * WIDTH_PX}
            y={row * ROW_PX + 4}
            width={width * WIDTH_PX}
            height={ROW_PX - 8}
          />
        )),
      )}
    </svg>
  );
}

function Preview({
  title,
  data,
  namespace,
}: {
  readonly title: string;
  readonly data: DataPreview | undefined;
  readonly namespace: string;
}) {
  if (!data) return <p class="hint">{title}: nothing yet</p>;
  const { ref, bytes, text, truncated } = data;
  return (
    <>
      <p class="hint">
        {title}: {formatSize(bytes)}, <Link to={eventScreen(ref, namespace)}>its event</Link>
      </p>
      <pre class="log">
        {text === undefined ? "It is not kept, or no text." : text.split("\n").map(plainLine).join("\n")}
        {truncated ? "\n…" : ""}
      </pre>
    </>
  );
}

import { useState } from "preact/hooks";
import type { ListedRollout } from "../../../../../../contract/versions/requests.ts";
import type { RolloutMeasurement, RolloutState } from "../../../../../../contract/versions/rollout-state.ts";
import { ActButton, ActDialog } from "../../../components/act.tsx";
import { Field, Panel } from "../../../components/field.tsx";
import { StateChip, type Tone } from "../../../components/state-chip.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { Moment } from "../../../components/time.tsx";
import { formatMs, formatNumber, formatShare } from "../../../format.ts";
import type { FunctionPart } from "../part.ts";
import { type RolloutOrder, rolloutAct } from "./acts.ts";
import { type GateRow, gateRows, stepWords, whyNot } from "./gate-rows.ts";

const TONES: Readonly<Record<string, Tone>> = {
  done: "good",
  aborted: "bad",
  paused: "warn",
  holding: "warn",
  superseded: "idle",
};
const ORDERS: readonly { readonly order: RolloutOrder; readonly word: string }[] = [
  { order: "approve", word: "Approve" },
  { order: "pause", word: "Pause" },
  { order: "resume", word: "Resume" },
  { order: "promote", word: "Promote" },
  { order: "abort", word: "Abort" },
];
const PLACES = { past: ["good", "done"], now: ["busy", "now"], open: ["idle", "to come"] } as const;

/** A rollout: where it is, what its conditions say, and what can be done with it. */
export function RolloutPanel({
  part,
  listed: { rollout, problem },
  onDone,
}: {
  readonly part: FunctionPart;
  readonly listed: ListedRollout;
  readonly onDone: () => void;
}) {
  const [order, setOrder] = useState<RolloutOrder>();
  if (!rollout) return null;
  const { phase, from, to, since, startedAt, settings, reason, measurements } = rollout;
  const hasEnded = phase === "done" || phase === "aborted" || phase === "superseded";
  return (
    <Panel title={`Rollout of ${to}`}>
      <p>
        <StateChip tone={TONES[phase] ?? "busy"}>{phase}</StateChip> from {from} to {to}, by {settings.strategy}; begun{" "}
        <Moment at={startedAt} />, in this state since <Moment at={since} />
      </p>
      {reason && (
        <p>
          <bdi>{reason}</bdi>
        </p>
      )}
      {problem && (
        <p>
          <StateChip tone="bad">Cannot start</StateChip> <bdi>{problem}</bdi>
        </p>
      )}
      <ol class="steps">
        {stepWords(rollout).map(({ text, place }, at) => (
          <li key={`${at} ${text}`} aria-current={place === "now" ? "step" : undefined}>
            {text} <StateChip tone={PLACES[place][0]}>{PLACES[place][1]}</StateChip>
          </li>
        ))}
      </ol>
      <Conditions rollout={rollout} />
      {measurements.length > 0 && (
        <details>
          <summary>What was measured</summary>
          <Table
            caption="Measurements"
            columns={MEASUREMENTS}
            rows={measurements.toReversed()}
            keyOf={({ at }) => String(at)}
            id="m"
          />
        </details>
      )}
      {!hasEnded && (
        <p class="buttons">
          {ORDERS.map(({ order: each, word }) => (
            <ActButton
              key={each}
              why={whyNot(each, phase)}
              onClick={() => setOrder(each)}
              {...(each === "abort" && { class: "danger" as const })}
            >
              {word}
            </ActButton>
          ))}
        </p>
      )}
      {order && (
        <OrderDialog
          part={part}
          order={order}
          rollout={rollout}
          onClose={(done) => {
            setOrder(undefined);
            if (done) onDone();
          }}
        />
      )}
    </Panel>
  );
}

function OrderDialog({
  part,
  order,
  rollout,
  onClose,
}: {
  readonly part: FunctionPart;
  readonly order: RolloutOrder;
  readonly rollout: RolloutState;
  readonly onClose: (done: boolean) => void;
}) {
  const [reason, setReason] = useState("");
  const isNeeded = order === "abort";
  return (
    <ActDialog
      act={rolloutAct(part, order, rollout, reason)}
      isReady={!isNeeded || reason.trim() !== ""}
      onClose={onClose}
    >
      <Field
        label="Reason"
        value={reason}
        onInput={setReason}
        required={isNeeded}
        hint={isNeeded ? "is kept in the history" : "is kept in the history; may be empty"}
      />
    </ActDialog>
  );
}

const GATE_TONES = { kept: "good", broken: "bad", open: "idle" } as const;
const GATES: readonly Column<GateRow>[] = [
  { id: "condition", title: "Condition", cell: ({ condition }) => condition },
  { id: "candidate", title: "New version", numeric: true, cell: ({ candidate }) => candidate },
  { id: "stable", title: "Stable version", numeric: true, cell: ({ stable }) => stable },
  { id: "limit", title: "Has to be below", numeric: true, cell: ({ limit }) => limit },
  {
    id: "state",
    title: "Now",
    cell: ({ state }) => <StateChip tone={GATE_TONES[state]}>{state}</StateChip>,
  },
];

const VERDICTS: Readonly<Record<RolloutMeasurement["verdict"], Tone>> = {
  good: "good",
  bad: "bad",
  inconclusive: "busy",
  "no-data": "idle",
};

function Conditions({ rollout }: { readonly rollout: RolloutState }) {
  const { settings, measurements } = rollout;
  const last = measurements.at(-1);
  const rows = gateRows(rollout);
  return (
    <>
      {rows.length > 0 && (
        <Table caption="Conditions" columns={GATES} rows={rows} keyOf={({ condition }) => condition} />
      )}
      {settings.query && (
        <p>
          And by Prometheus: <code>{settings.query.expression}</code> below {formatNumber(settings.query.limit)}
        </p>
      )}
      {last ? (
        <p>
          <StateChip tone={VERDICTS[last.verdict]}>{last.verdict}</StateChip> by {formatNumber(last.candidate.calls)}{" "}
          calls of the new version and {formatNumber(last.stable.calls)} of the stable one, <Moment at={last.at} />
          {last.reason !== undefined && (
            <>
              : <bdi>{last.reason}</bdi>
            </>
          )}
        </p>
      ) : (
        <p class="hint">
          {settings.gates.length === 0 && !settings.query
            ? "It has no conditions."
            : `Nothing is concluded before ${formatNumber(settings.minRequests)} calls of the new version.`}
        </p>
      )}
    </>
  );
}

const shareOf = (part: number, calls: number) => (calls === 0 ? "–" : formatShare(part / calls));

const MEASUREMENTS: readonly Column<RolloutMeasurement>[] = [
  { id: "at", title: "When", cell: ({ at }) => <Moment at={at} /> },
  { id: "step", title: "Step", numeric: true, cell: ({ step }) => step + 1 },
  {
    id: "verdict",
    title: "Verdict",
    cell: ({ verdict }) => <StateChip tone={VERDICTS[verdict]}>{verdict}</StateChip>,
  },
  {
    id: "calls",
    title: "Calls",
    numeric: true,
    cell: ({ candidate, stable }) => `${formatNumber(candidate.calls)} / ${formatNumber(stable.calls)}`,
  },
  {
    id: "errors",
    title: "Errors",
    numeric: true,
    cell: ({ candidate, stable }) =>
      `${shareOf(candidate.errors, candidate.calls)} / ${shareOf(stable.errors, stable.calls)}`,
  },
  {
    id: "p95",
    title: "p95",
    numeric: true,
    cell: ({ candidate, stable }) => `${formatMs(candidate.p95)} / ${formatMs(stable.p95)}`,
  },
  {
    id: "cold",
    title: "Cold",
    numeric: true,
    cell: ({ candidate, stable }) =>
      `${shareOf(candidate.cold, candidate.calls)} / ${shareOf(stable.cold, stable.calls)}`,
  },
  { id: "reason", title: "Reason", cell: ({ reason }) => <bdi>{reason ?? "–"}</bdi> },
];

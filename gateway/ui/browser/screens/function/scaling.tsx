import type { ScalingDecision, ScalingReport } from "../../../../../contract/scaling.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber } from "../../format.ts";
import { commandName, type FunctionPart, systemPath } from "./part.ts";

export function FunctionScaling(part: FunctionPart) {
  const { name, namespace } = part;
  const { value, error } = useAsked(
    `${name}.${namespace}`,
    (signal) => askJson<ScalingReport>(systemPath("scaling", part), { signal }),
    2_000,
  );
  if (error !== undefined && !value) return <Failure error={error} />;
  if (!value) return <Loading />;
  return (
    <>
      {value.problems.map((problem) => (
        <p key={problem} role="status">
          {problem}
        </p>
      ))}
      {value.refused !== undefined && <p role="status">The provider has refused the last order: {value.refused}</p>}
      <div class="panels">
        <Panel title="Why it has as many replicas as it has">
          {value.last ? <Steps decision={value.last} /> : <p>Nothing has been decided yet.</p>}
        </Panel>
        <Panel title="Settings">
          <dl>
            {Object.entries({ type: value.type, ...value.settings }).map(([setting, given]) => (
              <>
                <dt key={setting}>{setting}</dt>
                <dd>{String(given)}</dd>
              </>
            ))}
          </dl>
        </Panel>
      </div>
      <h2>Decisions</h2>
      <Table
        caption="Decisions"
        columns={COLUMNS}
        rows={value.decisions.toReversed()}
        keyOf={({ at, reason }) => `${at} ${reason}`}
      />
      <Equivalent
        cli={`faaslane scaling ${commandName(part)}`}
        curl={`curl -u admin:$PASSWORD "$GATEWAY${systemPath("scaling", part)}"`}
      />
    </>
  );
}

const COLUMNS: readonly Column<ScalingDecision>[] = [
  { id: "at", title: "When", cell: ({ at }) => <Moment at={Date.parse(at)} /> },
  {
    id: "change",
    title: "Replicas",
    numeric: true,
    cell: ({ from, to }) => (from === to ? `${to}` : `${from} → ${to}`),
  },
  { id: "reason", title: "Reason", cell: ({ reason }) => reason },
  {
    id: "load",
    title: "Load",
    numeric: true,
    cell: ({ load }) => (load === undefined ? "–" : formatNumber(load)),
  },
  { id: "text", title: "How", cell: ({ steps }) => steps.map(({ text }) => text).join(" → ") },
];

/** From the load to the result: what each step makes of what comes from the one before. */
function Steps({ decision }: { readonly decision: ScalingDecision }) {
  const { steps, load, from, to, panic } = decision;
  return (
    <ol class="steps">
      <li>
        <strong>Load {load === undefined ? "unknown" : formatNumber(load)}</strong>
        {panic && " – rising fast, so the last seconds count"}
      </li>
      {steps.map(({ reason, replicas, text }) => (
        <li key={`${reason} ${text}`}>
          <strong>{formatNumber(replicas)}</strong> by {reason}: {text}
        </li>
      ))}
      <li>
        <strong>{from === to ? `It stays at ${to}` : `From ${from} to ${to}`}</strong>
      </li>
    </ol>
  );
}

import type { ScalingDecision, ScalingReport } from "../../../../../../contract/scaling.ts";
import { curlOf } from "../../../act.ts";
import { askJson } from "../../../api.ts";
import { Equivalent } from "../../../components/equivalent.tsx";
import { Panel } from "../../../components/field.tsx";
import { Failure, Loading, Notice } from "../../../components/message.tsx";
import { useAsked } from "../../../components/resource.ts";
import { type Column, Table } from "../../../components/table.tsx";
import { Moment } from "../../../components/time.tsx";
import { formatNumber } from "../../../format.ts";
import { commandName, type FunctionPart, systemPath } from "../part.ts";
import { Picture } from "./picture.tsx";
import { WhatIf } from "./what-if.tsx";
import "../../../styles/run.css";

/** Why a function has as many replicas as it has, what was decided before, and what other settings would do. */
export function FunctionScaling(part: FunctionPart) {
  const { name, namespace } = part;
  const { value, error } = useAsked(
    `${name}.${namespace}`,
    (signal) => askJson<ScalingReport>(systemPath("scaling", part), { signal }),
    2_000,
  );
  if (error !== undefined && !value) return <Failure error={error} />;
  if (!value) return <Loading />;
  const { problems, refused, leading, leader, byHand, alerted, prewarm, last } = value;
  return (
    <>
      {problems.map((problem) => (
        <Notice key={problem}>{problem}</Notice>
      ))}
      {refused !== undefined && <Notice>The provider has refused the last order: {refused}</Notice>}
      {!leading && (
        <Notice>
          Another gateway decides{leader === undefined ? "" : ` (${leader})`}; this is what this one would do.
        </Notice>
      )}
      {alerted && <Notice>It is left to alerts for now.</Notice>}
      {byHand && (
        <Notice>
          It was scaled by hand to {byHand.replicas} <Moment at={Date.parse(byHand.at)} />, which holds until{" "}
          <Moment at={Date.parse(byHand.until)} />.
        </Notice>
      )}
      <div class="panels">
        <Panel title="Why it has as many replicas as it has">
          {last ? <Picture decision={last} report={value} /> : <p>Nothing has been decided yet.</p>}
        </Panel>
        <Panel title="Settings">
          <dl>
            {Object.entries({ type: value.type, ...value.settings }).map(([setting, given]) => (
              <>
                <dt key={setting}>{setting}</dt>
                <dd>{String(given)}</dd>
              </>
            ))}
            {prewarm && (
              <>
                <dt>A call is likely</dt>
                <dd>
                  {prewarm.likely ? "yes" : "no"}; {prewarm.hits} hits, {prewarm.misses} misses
                </dd>
              </>
            )}
          </dl>
        </Panel>
      </div>
      <h2>Decisions</h2>
      <Table
        caption="Decisions"
        columns={COLUMNS}
        rows={value.decisions.toReversed()}
        keyOf={({ at, reason }) => `${at} ${reason}`}
        id="d"
      />
      <Equivalent
        cli={`faaslane scaling explain ${commandName(part)}`}
        curl={curlOf({ path: systemPath("scaling", part) })}
      />
      <WhatIf part={part} report={value} />
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
